// Package lease drives the tables, the metrics and the caller's identity of the
// real binary with aws-sdk-go-v2, signatures verified, through kill -9.
package lease

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"thalweg/tests/harness"
	"thalweg/tests/sdk"
)

const account = "123456789012"

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(harness.Main(m))
}

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func num(n int) types.AttributeValue    { return &types.AttributeValueMemberN{Value: fmt.Sprint(n)} }

func strict(t *testing.T) (*harness.Server, aws.Config) {
	server := harness.ForTest(t, harness.Options{Args: []string{"--auth", "strict"}})
	key, err := server.CreateKey(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	return server, aws.Config{Region: sdk.Region, BaseEndpoint: aws.String(server.URL()),
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKey, key.SecretKey, "")}
}

// TestLeases has workers take and renew leases as consumer libraries do, kills
// the server, and finds every lease as its owner was told.
func TestLeases(t *testing.T) {
	const workers, leases, rounds = 4, 8, 10
	server, config := strict(t)
	client := dynamodb.NewFromConfig(config)
	ctx := t.Context()
	made, err := client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String("leases"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("leaseKey"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("leaseOwner"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("leaseKey"), KeyType: types.KeyTypeHash}},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{IndexName: aws.String("owners"), Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
			KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("leaseOwner"), KeyType: types.KeyTypeHash}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := *made.TableDescription.TableArn, "arn:aws:dynamodb:us-east-1:"+account+":table/leases"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for i := range leases {
		if _, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("leases"),
			Item:                map[string]types.AttributeValue{"leaseKey": str(fmt.Sprint("shard", i)), "leaseCounter": num(0), "leaseOwner": str("nobody")},
			ConditionExpression: aws.String("attribute_not_exists(leaseKey)")}); err != nil {
			t.Fatal(err)
		}
	}
	// Each worker tries all leases, on the condition that the counter is as it
	// was: a lease is raised once for each success.
	var mu sync.Mutex
	raised, owner := map[string]int{}, map[string]string{}
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			name := fmt.Sprint("worker", w)
			for range rounds {
				page, err := client.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String("leases"), ConsistentRead: aws.Bool(true)})
				if err != nil {
					t.Error(err)
					return
				}
				for _, it := range page.Items {
					out, err := client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String("leases"),
						Key:                       map[string]types.AttributeValue{"leaseKey": it["leaseKey"]},
						UpdateExpression:          aws.String("SET leaseOwner = :me ADD leaseCounter :one"),
						ConditionExpression:       aws.String("leaseCounter = :was"),
						ExpressionAttributeValues: map[string]types.AttributeValue{":me": str(name), ":one": num(1), ":was": it["leaseCounter"]},
						ReturnValues:              types.ReturnValueAllNew, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld})
					var lost *types.ConditionalCheckFailedException
					if errors.As(err, &lost) {
						if lost.Item["leaseKey"] == nil {
							t.Error("a failed condition does not show its item")
						}
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					key := it["leaseKey"].(*types.AttributeValueMemberS).Value
					raised[key]++
					if fmt.Sprint(raised[key]) == out.Attributes["leaseCounter"].(*types.AttributeValueMemberN).Value {
						owner[key] = name
					}
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	config.BaseEndpoint = aws.String(server.URL())
	client = dynamodb.NewFromConfig(config)
	for key, n := range raised {
		it, err := client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("leases"), Key: map[string]types.AttributeValue{"leaseKey": str(key)}})
		if err != nil {
			t.Fatal(err)
		}
		if got := it.Item["leaseCounter"].(*types.AttributeValueMemberN).Value; got != fmt.Sprint(n) {
			t.Errorf("%s was raised %d times and is %s", key, n, got)
		}
	}
	found := 0
	for w := range workers {
		out, err := client.Query(ctx, &dynamodb.QueryInput{TableName: aws.String("leases"), IndexName: aws.String("owners"),
			KeyConditionExpression: aws.String("leaseOwner = :o"), ExpressionAttributeValues: map[string]types.AttributeValue{":o": str(fmt.Sprint("worker", w))}})
		if err != nil {
			t.Fatal(err)
		}
		found += len(out.Items)
	}
	if len(raised) != leases || found != leases {
		t.Errorf("%d leases raised, %d in the index", len(raised), found)
	}
}

// TestTransaction: all or nothing, the reasons in order.
func TestTransaction(t *testing.T) {
	_, config := strict(t)
	client := dynamodb.NewFromConfig(config)
	ctx := t.Context()
	if _, err := client.CreateTable(ctx, &dynamodb.CreateTableInput{TableName: aws.String("state"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("k"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("k"), KeyType: types.KeyTypeHash}}}); err != nil {
		t.Fatal(err)
	}
	put := func(k string) types.TransactWriteItem {
		return types.TransactWriteItem{Put: &types.Put{TableName: aws.String("state"), Item: map[string]types.AttributeValue{"k": str(k)},
			ConditionExpression: aws.String("attribute_not_exists(k)"), ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld}}
	}
	if _, err := client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{put("a"), put("b")}}); err != nil {
		t.Fatal(err)
	}
	_, err := client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{put("c"), put("b")}})
	var canceled *types.TransactionCanceledException
	if !errors.As(err, &canceled) || len(canceled.CancellationReasons) != 2 || aws.ToString(canceled.CancellationReasons[0].Code) != "None" ||
		aws.ToString(canceled.CancellationReasons[1].Code) != "ConditionalCheckFailed" || canceled.CancellationReasons[1].Item["k"] == nil {
		t.Fatalf("%v", err)
	}
	out, err := client.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String("state")})
	if err != nil || out.Count != 2 {
		t.Errorf("%v %v", out, err)
	}
}

// TestMetricsAndIdentity: the metrics that are published stand on /metrics, and a
// key knows its account; with a wrong key neither.
func TestMetricsAndIdentity(t *testing.T) {
	server, config := strict(t)
	ctx := t.Context()
	who, err := sts.NewFromConfig(config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil || aws.ToString(who.Account) != account {
		t.Fatalf("%v %v", who, err)
	}
	var data []cwtypes.MetricDatum
	for i := range 200 { // more than 10 KiB, which the SDK compresses
		data = append(data, cwtypes.MetricDatum{MetricName: aws.String(fmt.Sprint("metric", i)), Value: aws.Float64(float64(i)), Unit: cwtypes.StandardUnitCount,
			Dimensions: []cwtypes.Dimension{{Name: aws.String("Operation"), Value: aws.String(strings.Repeat("x", 60))}}})
	}
	if _, err := cloudwatch.NewFromConfig(config).PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String("Game"), MetricData: data}); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(server.URL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if want := `name="metric199",namespace="Game",region="us-east-1",unit="Count"} 199`; err != nil || !strings.Contains(string(page), want) {
		t.Errorf("no %s in the metrics: %v", want, err)
	}
	config.Credentials = credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "wrong", "")
	for name, call := range map[string]func() error{
		"InvalidClientTokenId": func() error {
			_, err := sts.NewFromConfig(config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			return err
		},
		"UnrecognizedClientException": func() error {
			_, err := cloudwatch.NewFromConfig(config).PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String("Game"), MetricData: data[:1]})
			return err
		},
	} {
		var refused smithy.APIError
		if err := call(); !errors.As(err, &refused) || refused.ErrorCode() != name {
			t.Errorf("want %s: %v", name, err)
		}
	}
}
