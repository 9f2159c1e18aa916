// Every kind of delivery stream with the JavaScript SDK, of a server that verifies
// signatures.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import {
  CreateDeliveryStreamCommand,
  DeleteDeliveryStreamCommand,
  DescribeDeliveryStreamCommand,
  FirehoseClient,
  PutRecordBatchCommand,
  PutRecordCommand,
  UpdateDestinationCommand,
} from "@aws-sdk/client-firehose";
import { start } from "./server.mjs";

const RoleARN = "arn:aws:iam::000000000000:role/firehose";
const bucket = { RoleARN, BucketARN: "arn:aws:s3:::landing" };
const search = { RoleARN, IndexName: "events", S3Configuration: bucket };

const kinds = {
  S3: bucket,
  ExtendedS3: { ...bucket, CompressionFormat: "GZIP" },
  HttpEndpoint: { EndpointConfiguration: { Url: "https://example.com/in" }, S3Configuration: bucket },
  Redshift: {
    RoleARN,
    ClusterJDBCURL: "jdbc:postgresql://127.0.0.1:5432/game",
    Username: "user",
    Password: "Hidden123",
    CopyCommand: { DataTableName: "events", CopyOptions: "json 'auto'" },
    S3Configuration: bucket,
  },
  Elasticsearch: { ...search, ClusterEndpoint: "https://example.com" },
  Amazonopensearchservice: { ...search, ClusterEndpoint: "https://example.com" },
  AmazonOpenSearchServerless: { ...search, CollectionEndpoint: "https://example.com" },
  Iceberg: {
    RoleARN,
    CatalogConfiguration: { CatalogARN: "arn:aws:glue:us-east-1:000000000000:catalog" },
    DestinationTableConfigurationList: [{ DestinationDatabaseName: "game", DestinationTableName: "events" }],
    S3Configuration: bucket,
  },
  Splunk: { HECEndpoint: "https://example.com:8088", HECEndpointType: "Raw", HECToken: "token", S3Configuration: bucket },
};

let server;
let key;
let firehose;

const client = (credentials) => new FirehoseClient({ endpoint: server.endpoint, region: "us-east-1", maxAttempts: 1, credentials });

before(async () => {
  server = await start("--auth", "strict");
  key = server.key();
  firehose = client(key);
});

after(async () => {
  firehose?.destroy();
  await server?.stop();
});

for (const [DeliveryStreamName, configuration] of Object.entries(kinds)) {
  test(`${DeliveryStreamName}: create, describe, update, put, delete`, async () => {
    const describe = async () =>
      (await firehose.send(new DescribeDeliveryStreamCommand({ DeliveryStreamName }))).DeliveryStreamDescription;
    await firehose.send(new CreateDeliveryStreamCommand({ DeliveryStreamName, [`${DeliveryStreamName}DestinationConfiguration`]: configuration }));
    const made = await describe();
    assert.deepEqual([made.DeliveryStreamStatus, made.VersionId], ["ACTIVE", "1"]);
    assert.ok(!JSON.stringify(made).includes("Hidden"));

    const hints = { BufferingHints: { SizeInMBs: 2, IntervalInSeconds: 55 } };
    await firehose.send(
      new UpdateDestinationCommand({
        DeliveryStreamName,
        CurrentDeliveryStreamVersionId: "1",
        DestinationId: made.Destinations[0].DestinationId,
        [`${DeliveryStreamName}DestinationUpdate`]: DeliveryStreamName === "Redshift" ? { S3Update: hints } : hints,
      }),
    );
    const changed = await describe();
    assert.equal(changed.VersionId, "2");
    const now = changed.Destinations[0][`${DeliveryStreamName}DestinationDescription`];
    assert.deepEqual((DeliveryStreamName === "Redshift" ? now.S3DestinationDescription : now).BufferingHints, hints.BufferingHints);

    const Data = Buffer.from("{}");
    assert.ok((await firehose.send(new PutRecordCommand({ DeliveryStreamName, Record: { Data } }))).RecordId);
    const batch = await firehose.send(new PutRecordBatchCommand({ DeliveryStreamName, Records: [{ Data }, { Data }] }));
    assert.equal(batch.FailedPutCount, 0);

    for (const [credentials, name] of [
      [{ ...key, secretAccessKey: "wrong" }, "InvalidSignatureException"],
      [{ accessKeyId: "000000000000", secretAccessKey: "test" }, "UnrecognizedClientException"],
    ]) {
      const stranger = client(credentials);
      await assert.rejects(stranger.send(new PutRecordCommand({ DeliveryStreamName, Record: { Data } })), { name });
      stranger.destroy();
    }

    await firehose.send(new DeleteDeliveryStreamCommand({ DeliveryStreamName, AllowForceDelete: true }));
    await assert.rejects(
      async () => {
        for (const deadline = Date.now() + 20_000; Date.now() < deadline; await pause(10)) await describe();
      },
      { name: "ResourceNotFoundException" },
    );
  });
}
