// Delivery streams with the JavaScript SDK: what is put, once though it is sent twice, is
// in the bucket.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  CreateDeliveryStreamCommand,
  DescribeDeliveryStreamCommand,
  FirehoseClient,
  PutRecordBatchCommand,
  PutRecordCommand,
} from "@aws-sdk/client-firehose";
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { start } from "./server.mjs";

let server;
let firehose;
let s3;

before(async () => {
  server = await start("--test-aids");
  const common = {
    endpoint: server.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "000000000000", secretAccessKey: "test" },
  };
  firehose = new FirehoseClient(common);
  s3 = new S3Client({ ...common, forcePathStyle: true });
});

after(async () => {
  firehose?.destroy();
  s3?.destroy();
  await server?.stop();
});

test("a delivery stream delivers what is put, once", async () => {
  await s3.send(new CreateBucketCommand({ Bucket: "landing" }));
  const DeliveryStreamName = "events";
  const made = await firehose.send(
    new CreateDeliveryStreamCommand({
      DeliveryStreamName,
      ExtendedS3DestinationConfiguration: {
        RoleARN: "arn:aws:iam::000000000000:role/firehose",
        BucketARN: "arn:aws:s3:::landing",
        Prefix: "raw/",
      },
    }),
  );
  assert.equal(made.DeliveryStreamARN, "arn:aws:firehose:us-east-1:000000000000:deliverystream/events");
  const { DeliveryStreamDescription } = await firehose.send(new DescribeDeliveryStreamCommand({ DeliveryStreamName }));
  assert.equal(DeliveryStreamDescription.DeliveryStreamStatus, "ACTIVE");

  // The SDK does not see the first answer, and sends the call again.
  let lost = 0;
  firehose.middlewareStack.add(
    (next) => async (args) => {
      const answer = await next(args);
      if (lost++ > 0) return answer;
      throw Object.assign(new Error("socket hang up"), { name: "TimeoutError" });
    },
    { step: "finalizeRequest", priority: "low", name: "loseFirst" },
  );
  const { RecordId } = await firehose.send(new PutRecordCommand({ DeliveryStreamName, Record: { Data: Buffer.from("once\n") } }));
  assert.ok(RecordId);
  assert.equal(lost, 2);
  firehose.middlewareStack.remove("loseFirst");

  const batch = await firehose.send(
    new PutRecordBatchCommand({ DeliveryStreamName, Records: [{ Data: Buffer.from("a\n") }, { Data: Buffer.from("b\n") }] }),
  );
  assert.equal(batch.FailedPutCount, 0);
  const flushed = await fetch(`${server.endpoint}/_thalweg/firehose/events/flush`, { method: "POST" });
  assert.equal(flushed.status, 200);
  const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket: "landing", Prefix: "raw/" }));
  assert.equal(Contents.length, 1);
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: "landing", Key: Contents[0].Key }));
  assert.equal(await Body.transformToString(), "once\na\nb\n");
});
