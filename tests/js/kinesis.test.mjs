// The core operations of Kinesis Data Streams with the JavaScript SDK, over
// HTTP/2: its default handler, NodeHttp2Handler, is used as it comes.

import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { after, before, beforeEach, afterEach, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import * as sdk from "@aws-sdk/client-kinesis";
import { start } from "./server.mjs";

const account = "000000000000";
const top = 2n ** 128n;
const bytes = (text) => new TextEncoder().encode(text);
const text = (data) => new TextDecoder().decode(data);

let server;
let client;
let kinesis; // kinesis.putRecord({...}) and so on

before(async () => {
  server = await start();
  client = new sdk.KinesisClient({
    endpoint: server.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: account, secretAccessKey: "test" },
    maxAttempts: 1,
  });
  assert.equal(client.config.requestHandler.constructor.name, "NodeHttp2Handler");
  kinesis = new Proxy(client, {
    get: (_, name) => (input) => client.send(new sdk[`${name[0].toUpperCase()}${name.slice(1)}Command`](input)),
  });
});

after(async () => {
  client?.destroy();
  await server?.stop();
});

const newName = () => `js-${randomUUID().slice(0, 13)}`;
const active = (StreamName) =>
  sdk.waitUntilStreamExists({ client, maxWaitTime: 30, minDelay: 1, maxDelay: 1 }, { StreamName });

/** The error that a call is refused with. */
async function refusal(call) {
  const error = await call.then(
    () => assert.fail("the call was not refused"),
    (e) => e,
  );
  assert.ok(error instanceof sdk.KinesisServiceException, `${error}`);
  assert.equal(error.$metadata.httpStatusCode, 400);
  assert.ok(error.$metadata.requestId);
  return error;
}

/** Every record of a shard from a position to its tip. */
async function read(StreamName, ShardId, position = { ShardIteratorType: "TRIM_HORIZON" }, Limit = 10000) {
  let { ShardIterator } = await kinesis.getShardIterator({ StreamName, ShardId, ...position });
  const records = [];
  for (;;) {
    const page = await kinesis.getRecords({ ShardIterator, Limit });
    assert.ok(page.Records.length <= Limit);
    records.push(...page.Records);
    ShardIterator = page.NextShardIterator;
    if (page.Records.length === 0 && page.MillisBehindLatest === 0) return records;
  }
}

test("a stream lives and dies", async () => {
  const StreamName = newName();
  await kinesis.createStream({ StreamName, ShardCount: 2, Tags: { made: "at once" } });
  await active(StreamName);
  const { StreamDescription: described } = await kinesis.describeStream({ StreamName });
  assert.equal(described.StreamStatus, "ACTIVE");
  assert.equal(described.StreamARN, `arn:aws:kinesis:us-east-1:${account}:stream/${StreamName}`);
  assert.equal(described.StreamModeDetails.StreamMode, "PROVISIONED");
  assert.equal(described.RetentionPeriodHours, 24);
  assert.ok(Math.abs(described.StreamCreationTimestamp - Date.now()) < 60_000);
  assert.deepEqual(
    described.Shards.map((s) => [s.ShardId, s.HashKeyRange.StartingHashKey, s.HashKeyRange.EndingHashKey]),
    [
      ["shardId-000000000000", "0", `${top / 2n - 1n}`],
      ["shardId-000000000001", `${top / 2n}`, `${top - 1n}`],
    ],
  );
  const { StreamDescriptionSummary: summary } = await kinesis.describeStreamSummary({ StreamARN: described.StreamARN });
  assert.equal(summary.OpenShardCount, 2);
  const again = await refusal(kinesis.createStream({ StreamName, ShardCount: 1 }));
  assert.ok(again instanceof sdk.ResourceInUseException);
  assert.equal(again.message, `Stream ${StreamName} under account ${account} already exists.`);
  await kinesis.deleteStream({ StreamName });
  await sdk.waitUntilStreamNotExists({ client, maxWaitTime: 30, minDelay: 1, maxDelay: 1 }, { StreamName });
  const gone = await refusal(kinesis.describeStream({ StreamName }));
  assert.ok(gone instanceof sdk.ResourceNotFoundException);
  assert.equal(gone.message, `Stream ${StreamName} under account ${account} not found.`);
});

test("an on-demand stream has four shards", async () => {
  const StreamName = newName();
  await kinesis.createStream({ StreamName, StreamModeDetails: { StreamMode: "ON_DEMAND" } });
  await active(StreamName);
  const { Shards } = await kinesis.listShards({ StreamName });
  assert.equal(Shards.length, 4);
  await kinesis.deleteStream({ StreamName });
});

test("streams and shards are listed in pages", async () => {
  const StreamName = newName();
  await kinesis.createStream({ StreamName, ShardCount: 5 });
  await active(StreamName);
  const names = [];
  for await (const page of sdk.paginateListStreams({ client, pageSize: 1 }, {})) names.push(...page.StreamNames);
  assert.ok(names.includes(StreamName));
  const { Shards: whole } = await kinesis.listShards({ StreamName });
  const first = await kinesis.listShards({ StreamName, MaxResults: 3 });
  const rest = await kinesis.listShards({ NextToken: first.NextToken });
  assert.deepEqual([...first.Shards, ...rest.Shards], whole);
  assert.equal(rest.NextToken, undefined);
  const wrong = await refusal(kinesis.listShards({ NextToken: "bm90IGEgdG9rZW4=" }));
  assert.ok(["InvalidArgumentException", "ExpiredNextTokenException"].includes(wrong.name), wrong.name);
  const limits = await kinesis.describeLimits({});
  assert.ok(limits.ShardLimit >= limits.OpenShardCount);
  await kinesis.deleteStream({ StreamName });
});

describe("with a stream", () => {
  let StreamName;
  const first = "shardId-000000000000";

  beforeEach(async () => {
    StreamName = newName();
    await kinesis.createStream({ StreamName, ShardCount: 2 });
    await active(StreamName);
  });
  afterEach(() => kinesis.deleteStream({ StreamName }));

  test("records go to the shard that their key hashes to, and come back as they were", async () => {
    const keys = ["plain", "Gr\u00fc\u00dfe \u4f60\u597d", "\u{1f3ae}".repeat(128), 'quote " back \\ slash'];
    const payloads = [new Uint8Array(0), Uint8Array.from({ length: 256 }, (_, i) => i), bytes("\u2028\u{1f680}")];
    const sent = new Map();
    for (const PartitionKey of keys) {
      for (const Data of payloads) {
        const put = await kinesis.putRecord({ StreamName, PartitionKey, Data });
        const hash = BigInt(`0x${createHash("md5").update(PartitionKey).digest("hex")}`);
        assert.equal(put.ShardId, hash < top / 2n ? first : "shardId-000000000001");
        assert.match(put.SequenceNumber, /^[1-9]\d{55}$/);
        sent.set(`${put.ShardId} ${put.SequenceNumber}`, [PartitionKey, Buffer.from(Data).toString("hex")]);
      }
    }
    const got = new Map();
    for (const ShardId of [first, "shardId-000000000001"]) {
      let last = 0n;
      for (const r of await read(StreamName, ShardId)) {
        assert.ok(BigInt(r.SequenceNumber) > last);
        last = BigInt(r.SequenceNumber);
        assert.ok(Math.abs(r.ApproximateArrivalTimestamp - Date.now()) < 60_000);
        got.set(`${ShardId} ${r.SequenceNumber}`, [r.PartitionKey, Buffer.from(r.Data).toString("hex")]);
      }
    }
    assert.deepEqual([...got].sort(), [...sent].sort());
  });

  test("a record of one mebibyte", async () => {
    const Data = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 7) % 251);
    const put = await kinesis.putRecord({ StreamName, PartitionKey: "big", Data });
    const [record] = await read(StreamName, put.ShardId);
    assert.ok(Buffer.from(record.Data).equals(Buffer.from(Data)));
  });

  test("500 records in one call, read in pages", async () => {
    const Records = Array.from({ length: 500 }, (_, i) => ({ PartitionKey: "k", ExplicitHashKey: "0", Data: bytes(`${i}`) }));
    const put = await kinesis.putRecords({ StreamName, Records });
    assert.equal(put.FailedRecordCount, 0);
    assert.deepEqual([...new Set(put.Records.map((r) => r.ShardId))], [first]);
    const records = await read(StreamName, first, undefined, 60);
    assert.deepEqual(records.map((r) => text(r.Data)), Records.map((_, i) => `${i}`));
    assert.deepEqual(records.map((r) => r.SequenceNumber), put.Records.map((r) => r.SequenceNumber));
  });

  test("many calls at once share the connection", async () => {
    const puts = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        kinesis.putRecord({ StreamName, PartitionKey: `k${i}`, Data: bytes(`${i}`) })),
    );
    assert.equal(new Set(puts.map((p) => `${p.ShardId} ${p.SequenceNumber}`)).size, 200);
    const all = (await Promise.all([first, "shardId-000000000001"].map((s) => read(StreamName, s)))).flat();
    assert.equal(new Set(all.map((r) => text(r.Data))).size, 200);
  });

  test("a bad entry fails them all", async () => {
    const Records = Array.from({ length: 5 }, () => ({ PartitionKey: "k", Data: bytes("good") }));
    Records[3].ExplicitHashKey = `${top}`;
    const bad = await refusal(kinesis.putRecords({ StreamName, Records }));
    assert.equal(bad.name, "InvalidArgumentException");
    assert.deepEqual(await read(StreamName, first), []);
    assert.deepEqual(await read(StreamName, "shardId-000000000001"), []);
  });

  test("all five iterators", async () => {
    const put = [];
    let middle;
    for (let i = 0; i < 6; i++) {
      if (i === 3) {
        await pause(50);
        middle = new Date();
        await pause(50);
      }
      put.push(await kinesis.putRecord({ StreamName, PartitionKey: "k", ExplicitHashKey: "0", Data: bytes(`${i}`) }));
    }
    const data = async (position) => (await read(StreamName, first, position)).map((r) => text(r.Data)).join("");
    const StartingSequenceNumber = put[3].SequenceNumber;
    assert.equal(await data({ ShardIteratorType: "TRIM_HORIZON" }), "012345");
    assert.equal(await data({ ShardIteratorType: "LATEST" }), "");
    assert.equal(await data({ ShardIteratorType: "AT_SEQUENCE_NUMBER", StartingSequenceNumber }), "345");
    assert.equal(await data({ ShardIteratorType: "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber }), "45");
    assert.equal(await data({ ShardIteratorType: "AT_TIMESTAMP", Timestamp: middle }), "345");
    const wrong = await refusal(kinesis.getRecords({ ShardIterator: "bm90IGFuIGl0ZXJhdG9y" }));
    assert.ok(wrong instanceof sdk.InvalidArgumentException);
    assert.equal(wrong.message, "Invalid ShardIterator.");
  });

  test("tags, old and new, and retention", async () => {
    await kinesis.addTagsToStream({ StreamName, Tags: { a: "1", b: "\u00fcber" } });
    await kinesis.removeTagsFromStream({ StreamName, TagKeys: ["a"] });
    const old = await kinesis.listTagsForStream({ StreamName });
    assert.deepEqual(old.Tags, [{ Key: "b", Value: "\u00fcber" }]);
    assert.equal(old.HasMoreTags, false);
    const { StreamDescriptionSummary: { StreamARN: ResourceARN } } = await kinesis.describeStreamSummary({ StreamName });
    await kinesis.tagResource({ ResourceARN, Tags: { c: "3" } });
    await kinesis.untagResource({ ResourceARN, TagKeys: ["b"] });
    assert.deepEqual((await kinesis.listTagsForResource({ ResourceARN })).Tags, [{ Key: "c", Value: "3" }]);

    await kinesis.increaseStreamRetentionPeriod({ StreamName, RetentionPeriodHours: 48 });
    await active(StreamName);
    await kinesis.decreaseStreamRetentionPeriod({ StreamName, RetentionPeriodHours: 36 });
    await active(StreamName);
    const { StreamDescriptionSummary: summary } = await kinesis.describeStreamSummary({ StreamName });
    assert.equal(summary.RetentionPeriodHours, 36);
    const wrong = await refusal(kinesis.decreaseStreamRetentionPeriod({ StreamName, RetentionPeriodHours: 37 }));
    assert.equal(wrong.name, "InvalidArgumentException");
  });

  test("every violation is named", async () => {
    const wrong = await refusal(kinesis.describeStream({ StreamName: "no such, ever", Limit: 100000 }));
    assert.equal(wrong.name, "ValidationException");
    assert.match(wrong.message, /^2 validation errors detected: /);
    assert.match(wrong.message, /at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: /);
    assert.match(wrong.message, /at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000/);
  });
});
