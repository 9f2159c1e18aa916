// Enhanced fan-out with the JavaScript SDK, over HTTP/2 and its default handler.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import * as sdk from "@aws-sdk/client-kinesis";
import { start } from "./server.mjs";

const ShardId = "shardId-000000000000";
const trimHorizon = { Type: "TRIM_HORIZON" };
const from = (SequenceNumber) => ({ Type: "AFTER_SEQUENCE_NUMBER", SequenceNumber });
const text = (data) => new TextDecoder().decode(data);

let server;
let client;
let kinesis; // kinesis.putRecord({...}) and so on

before(async () => {
  server = await start("--test-aids");
  client = new sdk.KinesisClient({
    endpoint: server.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "000000000000", secretAccessKey: "test" },
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

/** Moves the server's clock on. */
async function advance(seconds) {
  const answer = await fetch(`${server.endpoint}/_thalweg/clock`, { method: "POST", body: JSON.stringify({ advance: `${seconds}s` }) });
  assert.equal(answer.status, 200);
}

describe("a shard pushed over HTTP/2", () => {
  let StreamARN;
  let ConsumerARN;
  const put = (n) => kinesis.putRecord({ StreamARN, PartitionKey: "k", Data: new TextEncoder().encode(`${n}`) });
  const subscribe = async (StartingPosition) =>
    (await kinesis.subscribeToShard({ ConsumerARN, ShardId, StartingPosition })).EventStream;

  beforeEach(async () => {
    const StreamName = `js-${randomUUID().slice(0, 13)}`;
    await kinesis.createStream({ StreamName, ShardCount: 1 });
    ({ StreamARN } = (await kinesis.describeStreamSummary({ StreamName })).StreamDescriptionSummary);
    ({ ConsumerARN } = (await kinesis.registerStreamConsumer({ StreamARN, ConsumerName: "c" })).Consumer);
  });

  afterEach(() => kinesis.deleteStream({ StreamARN, EnforceConsumerDeletion: true }));

  test("renewals lose and repeat nothing while records are put", async () => {
    let produced = 0;
    let done = false;
    const producer = (async () => {
      while (!done) await put(produced++);
    })();
    const got = [];
    let position = trimHorizon;
    for (let renewal = 0; renewal < 10; renewal++) {
      const enough = got.length + 10;
      let moved;
      for await (const { SubscribeToShardEvent: event } of await subscribe(position)) {
        got.push(...event.Records);
        position = from(event.ContinuationSequenceNumber);
        if (got.length > enough) moved ??= advance(300);
      }
      await moved;
    }
    done = true;
    await producer;
    for await (const { SubscribeToShardEvent: event } of await subscribe(position)) {
      got.push(...event.Records);
      if (got.length >= produced) break;
    }
    assert.deepEqual(got.map((r) => text(r.Data)), Array.from({ length: produced }, (_, i) => `${i}`));
  });

  test("a later subscription takes over, an early one is refused", async () => {
    const first = (await subscribe({ Type: "LATEST" }))[Symbol.asyncIterator]();
    const { value } = await first.next();
    const { ContinuationSequenceNumber } = value.SubscribeToShardEvent;
    await assert.rejects(subscribe(trimHorizon), sdk.ResourceInUseException);
    await advance(5);
    const second = (await subscribe(from(ContinuationSequenceNumber)))[Symbol.asyncIterator]();
    await second.next();
    await assert.rejects(async () => {
      while (!(await first.next()).done);
    }, sdk.ResourceInUseException);
    await put(7);
    const event = (await second.next()).value.SubscribeToShardEvent;
    assert.deepEqual(event.Records.map((r) => text(r.Data)), ["7"]);
    await second.return();
  });

  test("the end of a shard names its children", async () => {
    let last;
    let split;
    for await (const { SubscribeToShardEvent: event } of await subscribe(trimHorizon)) {
      split ??= kinesis.splitShard({ StreamARN, ShardToSplit: ShardId, NewStartingHashKey: `${2n ** 127n}` });
      last = event;
    }
    await split;
    assert.equal(last.ContinuationSequenceNumber, undefined);
    assert.deepEqual(last.ChildShards.map((c) => c.ParentShards), [[ShardId], [ShardId]]);
  });

  test("many shards over one connection", async () => {
    await kinesis.updateShardCount({ StreamARN, TargetShardCount: 2, ScalingType: "UNIFORM_SCALING" });
    const shards = (await kinesis.listShards({ StreamARN, ShardFilter: { Type: "AT_LATEST" } })).Shards;
    const streams = await Promise.all(
      shards.map((s) => kinesis.subscribeToShard({ ConsumerARN, ShardId: s.ShardId, StartingPosition: trimHorizon })),
    );
    await Promise.all(Array.from({ length: 20 }, (_, i) => kinesis.putRecord({ StreamARN, PartitionKey: `${i}`, Data: new Uint8Array([i]) })));
    let got = 0;
    await Promise.all(
      streams.map(async ({ EventStream }, i) => {
        const want = 20;
        for await (const { SubscribeToShardEvent: event } of EventStream) {
          got += event.Records.length;
          if (got >= want) await kinesis.deregisterStreamConsumer({ ConsumerARN }).catch(() => {});
        }
        assert.fail(`shard ${i} ended without a word`);
      }),
    ).catch((e) => assert.ok(e instanceof sdk.ResourceNotFoundException, `${e}`));
    assert.equal(got, 20);
  });
});
