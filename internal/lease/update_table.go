package lease

import (
	"context"
	"slices"

	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/tables"
	"thalweg/internal/tables/value"
)

// UpdateTable
//
// Changes billing mode, throughput, table class and deletion protection, and makes
// or removes one global secondary index. An index that is made has the table's
// items when the call returns, so it is ACTIVE then.
//
// Errors: ResourceNotFound; LimitExceeded for more than one index; Validation when
// there is nothing to change, and as CreateTable's.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html
//
// Status: partial: streams, encryption with a KMS key, replicas, vector indexes, warm and maximum throughput are refused
// Deviation: the change is done at once instead of in UPDATING
func (d *Tables) UpdateTable(ctx context.Context, in *model.UpdateTableInput) (*model.UpdateTableOutput, error) {
	for _, p := range []parameter{
		{"StreamSpecification", in.StreamSpecification != nil && in.StreamSpecification.StreamEnabled.V},
		{"SSESpecification", in.SSESpecification != nil && in.SSESpecification.Enabled.V},
		{"ReplicaUpdates", in.ReplicaUpdates != nil}, {"MultiRegionConsistency", in.MultiRegionConsistency.Set},
		{"GlobalTableWitnessUpdates", in.GlobalTableWitnessUpdates != nil}, {"VectorIndexUpdates", in.VectorIndexUpdates != nil},
		{"OnDemandThroughput", in.OnDemandThroughput != nil}, {"WarmThroughput", in.WarmThroughput != nil},
		{"GlobalTableSettingsReplicationMode", in.GlobalTableSettingsReplicationMode.Set},
		{"DisassociationProtectionEnabled", in.DisassociationProtectionEnabled.Set},
	} {
		if p.given {
			return nil, unsupported(p.name)
		}
	}
	scope, table, err := resolve(ctx, in.TableName.V)
	if err != nil {
		return nil, err
	}
	if in.ProvisionedThroughput == nil && !in.BillingMode.Set && len(in.GlobalSecondaryIndexUpdates) == 0 &&
		!in.TableClass.Set && !in.DeletionProtectionEnabled.Set {
		return nil, invalid("At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or " +
			"SSESpecification or ReplicaUpdates is required")
	}
	t, err := d.tables.Update(ctx, scope, table, func(def *tables.Definition) error { return updateTable(def, in) })
	if err != nil {
		return nil, wireError(err)
	}
	return &model.UpdateTableOutput{TableDescription: description(t, model.TableStatusActive)}, nil
}

// updateTable makes the changes in a copy of a table's definition.
func updateTable(def *tables.Definition, in *model.UpdateTableInput) error {
	if in.DeletionProtectionEnabled.Set {
		def.Protected = in.DeletionProtectionEnabled.V
	}
	if in.TableClass.Set {
		def.Infrequent = in.TableClass.V == model.TableClassStandardInfrequentAccess
	}
	if in.BillingMode.Set || in.ProvisionedThroughput != nil {
		if in.BillingMode.Set {
			def.OnDemand = in.BillingMode.V == model.BillingModePayPerRequest
		}
		var err error
		if def.Throughput, err = throughput(def.OnDemand, in.ProvisionedThroughput, "the table"); err != nil {
			return err
		}
	}
	changed := 0
	for _, u := range in.GlobalSecondaryIndexUpdates {
		if u.Create != nil || u.Delete != nil {
			changed++
		}
		if err := updateIndex(def, in, &u); err != nil {
			return err
		}
	}
	if changed > 1 {
		return model.NewLimitExceededException("Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table")
	}
	// Types are kept of the attributes in keys only.
	for name := range def.Types {
		used := slices.Contains([]string{def.Key.Partition, def.Key.Sort}, name)
		for _, x := range def.Indexes {
			used = used || slices.Contains([]string{x.Key.Partition, x.Key.Sort}, name)
		}
		if !used {
			delete(def.Types, name)
		}
	}
	return nil
}

// updateIndex makes, removes or changes one index.
func updateIndex(def *tables.Definition, in *model.UpdateTableInput, u *model.GlobalSecondaryIndexUpdate) error {
	missing := func(name string) error {
		return model.NewResourceNotFoundException("Requested resource not found: Index: " + name + " not found")
	}
	switch {
	case u.Create != nil:
		c := u.Create
		if def.Index(c.IndexName.V) != nil {
			return invalid("Attempting to create an index which already exists")
		}
		for name, kind := range types(in.AttributeDefinitions) {
			if was := def.Types[name]; was != value.None && was != kind {
				return invalid("One or more parameter values were invalid: Attribute " + name + " is defined with another type")
			}
			def.Types[name] = kind
		}
		if c.OnDemandThroughput != nil || c.WarmThroughput != nil {
			return unsupported("OnDemandThroughput or WarmThroughput of an index")
		}
		index, err := globalIndex(def.OnDemand, c.IndexName, c.KeySchema, c.Projection, c.ProvisionedThroughput)
		if err != nil {
			return err
		}
		def.Indexes = append(def.Indexes, index)
	case u.Delete != nil:
		x := def.Index(u.Delete.IndexName.V)
		if x == nil || x.Local {
			return missing(u.Delete.IndexName.V)
		}
		def.Indexes = slices.DeleteFunc(def.Indexes, func(i tables.Index) bool { return i.Name == u.Delete.IndexName.V })
	case u.Update != nil:
		x := def.Index(u.Update.IndexName.V)
		if x == nil || x.Local {
			return missing(u.Update.IndexName.V)
		}
		var err error
		x.Throughput, err = throughput(def.OnDemand, u.Update.ProvisionedThroughput, "the GlobalSecondaryIndex: "+x.Name)
		return err
	default:
		return invalid("One or more parameter values were invalid: One of GlobalSecondaryIndexUpdate.Update, " +
			"GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must not be null")
	}
	return nil
}
