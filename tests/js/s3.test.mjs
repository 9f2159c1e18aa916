// Buckets and objects with the JavaScript SDK: path and virtual-host style, streams
// with checksums behind them, uploads in parts.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Agent } from "node:http";
import { after, before, test } from "node:test";
import * as sdk from "@aws-sdk/client-s3";
import { start } from "./server.mjs";

let server;
let s3;
const Bucket = "js-bucket";

/** A client of the server. */
function connect(options) {
  return new sdk.S3Client({
    endpoint: server.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "000000000000", secretAccessKey: "test" },
    maxAttempts: 1,
    forcePathStyle: true,
    ...options,
  });
}

before(async () => {
  server = await start();
  s3 = connect({});
  await s3.send(new sdk.CreateBucketCommand({ Bucket }));
});

after(async () => {
  s3?.destroy();
  await server?.stop();
});

test("objects are put, got, listed and deleted", async () => {
  const put = await s3.send(new sdk.PutObjectCommand({ Bucket, Key: "d/k \u00e9", Body: "hello", Metadata: { some: "value" } }));
  assert.equal(put.ETag, '"5d41402abc4b2a76b9719d911017c592"');
  const got = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: "d/k \u00e9", ChecksumMode: "ENABLED" }));
  assert.equal(await got.Body.transformToString(), "hello");
  assert.deepEqual(got.Metadata, { some: "value" });
  const page = await s3.send(new sdk.ListObjectsV2Command({ Bucket, Delimiter: "/" }));
  assert.deepEqual(page.CommonPrefixes, [{ Prefix: "d/" }]);
  await assert.rejects(s3.send(new sdk.PutObjectCommand({ Bucket, Key: "d/k \u00e9", Body: "x", IfNoneMatch: "*" })), { name: "PreconditionFailed" });
  const answer = await s3.send(new sdk.DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "d/k \u00e9" }] } }));
  assert.deepEqual(answer.Deleted, [{ Key: "d/k \u00e9" }]);
  await assert.rejects(s3.send(new sdk.GetObjectCommand({ Bucket, Key: "d/k \u00e9" })), { name: "NoSuchKey" });
});

test("an upload in parts is one object", async () => {
  const Key = "parts";
  const parts = [randomBytes(5 << 20), randomBytes(1000)];
  const { UploadId } = await s3.send(new sdk.CreateMultipartUploadCommand({ Bucket, Key }));
  const Parts = [];
  for (const [i, Body] of parts.entries()) {
    const { ETag } = await s3.send(new sdk.UploadPartCommand({ Bucket, Key, UploadId, PartNumber: i + 1, Body }));
    Parts.push({ ETag, PartNumber: i + 1 });
  }
  await s3.send(new sdk.CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }));
  const got = await s3.send(new sdk.GetObjectCommand({ Bucket, Key }));
  assert.ok(Buffer.concat(parts).equals(Buffer.from(await got.Body.transformToByteArray())));
  const second = await s3.send(new sdk.GetObjectCommand({ Bucket, Key, PartNumber: 2 }));
  assert.ok(parts[1].equals(Buffer.from(await second.Body.transformToByteArray())));
});

test("a bucket is found by its host name", async () => {
  const port = new URL(server.endpoint).port;
  // Not every system resolves names below localhost.
  const lookup = (_, options, done) => (options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4));
  const client = connect({
    endpoint: `http://localhost:${port}`,
    forcePathStyle: false,
    requestHandler: { httpAgent: new Agent({ lookup }) },
  });
  await client.send(new sdk.PutObjectCommand({ Bucket, Key: "by/host", Body: "x" }));
  client.destroy();
  const got = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: "by/host" }));
  assert.equal(await got.Body.transformToString(), "x");
});
