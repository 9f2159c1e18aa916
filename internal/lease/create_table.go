package lease

import (
	"context"
	"slices"
	"strings"

	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/opt"
	"thalweg/internal/tables"
	"thalweg/internal/tables/value"
)

// CreateTable
//
// Makes a table with its secondary indexes. It exists, durably, when the call
// returns, so it is ACTIVE then and a waiter never waits. Billing mode and
// throughput are kept and shown; nothing is limited by them.
//
// Errors: ResourceInUse when the name is taken; LimitExceeded beyond 2500 tables;
// Validation when keys, attribute definitions and indexes do not fit together.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html
//
// Status: partial: streams, encryption with a KMS key, resource policies, vector indexes, global tables, warm and maximum throughput are refused
// Deviation: a new table is ACTIVE at once instead of after seconds in CREATING
func (d *Tables) CreateTable(ctx context.Context, in *model.CreateTableInput) (*model.CreateTableOutput, error) {
	for _, p := range []parameter{
		{"StreamSpecification", in.StreamSpecification != nil && in.StreamSpecification.StreamEnabled.V},
		{"SSESpecification", in.SSESpecification != nil && in.SSESpecification.Enabled.V},
		{"ResourcePolicy", in.ResourcePolicy.Set}, {"VectorIndexes", in.VectorIndexes != nil},
		{"OnDemandThroughput", in.OnDemandThroughput != nil}, {"WarmThroughput", in.WarmThroughput != nil},
		{"GlobalTableSourceArn", in.GlobalTableSourceArn.Set},
		{"GlobalTableSettingsReplicationMode", in.GlobalTableSettingsReplicationMode.Set},
	} {
		if p.given {
			return nil, unsupported(p.name)
		}
	}
	scope, table, err := resolve(ctx, in.TableName.V)
	if err != nil {
		return nil, err
	}
	if err := checkName("TableName", table); err != nil {
		return nil, err
	}
	def := &tables.Definition{Scope: scope, Name: table, Types: types(in.AttributeDefinitions), Protected: in.DeletionProtectionEnabled.V,
		Infrequent: in.TableClass.V == model.TableClassStandardInfrequentAccess, Tags: tags(in.Tags)}
	if def.Key, err = schema(in.KeySchema); err != nil {
		return nil, err
	}
	def.OnDemand = in.BillingMode.V == model.BillingModePayPerRequest
	if def.Throughput, err = throughput(def.OnDemand, in.ProvisionedThroughput, "the table"); err != nil {
		return nil, err
	}
	for _, x := range in.GlobalSecondaryIndexes {
		index, err := globalIndex(def.OnDemand, x.IndexName, x.KeySchema, x.Projection, x.ProvisionedThroughput)
		if err != nil {
			return nil, err
		}
		if x.OnDemandThroughput != nil || x.WarmThroughput != nil {
			return nil, unsupported("OnDemandThroughput or WarmThroughput of an index")
		}
		def.Indexes = append(def.Indexes, index)
	}
	for _, x := range in.LocalSecondaryIndexes {
		index := tables.Index{Name: x.IndexName.V, Local: true}
		if index.Key, err = schema(x.KeySchema); err != nil {
			return nil, err
		}
		if err := project(&index, x.Projection); err != nil {
			return nil, err
		}
		def.Indexes = append(def.Indexes, index)
	}
	made, err := d.tables.Create(ctx, def)
	if err != nil {
		return nil, wireError(err)
	}
	return &model.CreateTableOutput{TableDescription: description(made, model.TableStatusActive)}, nil
}

// checkName checks the name of a new table.
func checkName(parameter, name string) error {
	if len(name) < 3 || len(name) > 255 {
		return invalid(parameter + " must be at least 3 characters long and at most 255 characters long")
	}
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != "" {
		return invalid("1 validation error detected: Value '" + name + "' at '" + strings.ToLower(parameter[:1]) + parameter[1:] +
			"' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+")
	}
	return nil
}

func types(list []model.AttributeDefinition) map[string]value.Kind {
	out := map[string]value.Kind{}
	for _, a := range list {
		out[a.AttributeName.V] = value.KindOf(string(a.AttributeType.V))
	}
	return out
}

func tags(list []model.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range list {
		out[t.Key.V] = t.Value.V
	}
	return out
}

// schema reads a key of one or two attributes.
func schema(list []model.KeySchemaElement) (tables.Schema, error) {
	var s tables.Schema
	if len(list) > 2 {
		return s, invalid("1 validation error detected: Value '" + string(list[0].KeyType.V) + "' at 'keySchema' failed to satisfy constraint: " +
			"Member must have length less than or equal to 2")
	}
	if len(list) == 0 || list[0].KeyType.V != model.KeyTypeHash {
		return s, invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
	}
	s.Partition = list[0].AttributeName.V
	if len(list) == 1 {
		return s, nil
	}
	if list[1].KeyType.V != model.KeyTypeRange {
		return s, invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
	}
	s.Sort = list[1].AttributeName.V
	if s.Sort == s.Partition {
		return s, invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
	}
	return s, nil
}

// throughput reads what is provisioned of something, which depends on how it is
// billed.
func throughput(onDemand bool, p *model.ProvisionedThroughput, of string) (tables.Throughput, error) {
	var t tables.Throughput
	switch {
	case onDemand && p != nil:
		return t, invalid("One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified " +
			"when BillingMode is PAY_PER_REQUEST")
	case !onDemand && p == nil:
		return t, invalid("No provisioned throughput specified for " + of)
	case p != nil:
		t.Read, t.Write = p.ReadCapacityUnits.V, p.WriteCapacityUnits.V
	}
	return t, nil
}

// globalIndex reads a global secondary index.
func globalIndex(onDemand bool, name opt.V[string], key []model.KeySchemaElement, p *model.Projection, t *model.ProvisionedThroughput) (tables.Index, error) {
	index := tables.Index{Name: name.V}
	var err error
	if index.Key, err = schema(key); err != nil {
		return index, err
	}
	if index.Throughput, err = throughput(onDemand, t, "the GlobalSecondaryIndex: "+name.V); err != nil {
		return index, err
	}
	return index, project(&index, p)
}

// project reads what an index shows.
func project(x *tables.Index, p *model.Projection) error {
	if p == nil || !p.ProjectionType.Set {
		return invalid("One or more parameter values were invalid: Unknown ProjectionType: null")
	}
	x.Projection = tables.Projection(p.ProjectionType.V)
	x.Included = slices.Clone(p.NonKeyAttributes)
	switch {
	case x.Projection == tables.Include && x.Included == nil:
		return invalid("One or more parameter values were invalid: ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
	case x.Projection != tables.Include && x.Included != nil:
		return invalid("One or more parameter values were invalid: ProjectionType is " + string(x.Projection) + ", but NonKeyAttributes is specified")
	}
	return nil
}
