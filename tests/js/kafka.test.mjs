// KafkaJS, a client that speaks the protocol itself, and older versions of it.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import kafkajs from "kafkajs";
import { start } from "./server.mjs";

const { CompressionTypes, ConfigResourceTypes, Kafka, logLevel, PartitionAssigners } = kafkajs;
const limit = 40_000;

let server;
let kafka;
let admin;
const open = []; // what the tests connected

before(async () => {
  server = await start("--listen-kafka", "127.0.0.1:0"); // a server of its own
  kafka = new Kafka({ clientId: "kafkajs", brokers: [server.kafka], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50 } });
  admin = await connected(kafka.admin());
});

after(async () => {
  for (const c of open.reverse()) await c.disconnect();
  await server?.stop();
});

async function connected(client) {
  await client.connect();
  open.push(client);
  return client;
}

const create = (topic, numPartitions) => admin.createTopics({ topics: [{ topic, numPartitions }], waitForLeaders: true });
const messages = (n, text) => Array.from({ length: n }, (_, i) => ({ key: `key${i % 7}`, value: `${text} ${i}`, headers: { n: `${i}` } }));
const sorted = (list) => list.map((m) => `${m.value}`).sort();

/** What several consumers were given, and a way to wait for n messages. */
class Seen {
  messages = [];
  #waiting = [];

  add(partition, message) {
    this.messages.push({ partition, offset: Number(message.offset), value: message.value.toString(), headers: message.headers });
    this.#waiting = this.#waiting.filter(({ n, resolve }) => this.messages.length < n || resolve());
  }

  reach(n) {
    if (this.messages.length >= n) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.messages.length} of ${n} messages came`)), limit);
      this.#waiting.push({ n, resolve: () => (clearTimeout(timer), resolve()) });
    });
  }
}

/** A consumer that runs, and its share of the topic's partitions at each assignment. */
async function consume(groupId, topic, seen, options = {}) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 200, maxWaitTimeInMs: 100, rebalanceTimeout: 6000, ...options });
  await connected(consumer);
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const share = { size: 0, changed: () => {} };
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    share.size = payload.memberAssignment[topic]?.length ?? 0;
    share.changed();
  });
  await consumer.run({ eachMessage: async ({ partition, message }) => seen.add(partition, message) });
  return { consumer, share };
}

async function leave(...members) {
  for (const { consumer } of members) {
    await consumer.disconnect();
    open.splice(open.indexOf(consumer), 1);
  }
}

/** Fails unless each partition's offsets rise. */
function ordered(seen) {
  const last = new Map();
  for (const m of seen.messages) {
    assert.ok(m.offset > (last.get(m.partition) ?? -1), `partition ${m.partition}: ${m.offset} after ${last.get(m.partition)}`);
    last.set(m.partition, m.offset);
  }
}

describe("KafkaJS", { timeout: 4 * limit }, () => {
  for (const [name, compression] of Object.entries({ none: CompressionTypes.None, gzip: CompressionTypes.GZIP })) {
    for (const idempotent of [false, true]) {
      test(`there and back, ${name}${idempotent ? ", idempotent" : ""}`, async () => {
        const topic = `back-${name}-${idempotent}`;
        await create(topic, 3);
        const producer = await connected(kafka.producer({ idempotent }));
        const sent = messages(1000, "move");
        for (let i = 0; i < sent.length; i += 100) {
          await producer.send({ topic, acks: -1, compression, messages: sent.slice(i, i + 100) });
        }
        const seen = new Seen();
        await consume(`g-${topic}`, topic, seen);
        await seen.reach(sent.length);
        assert.deepEqual(sorted(seen.messages), sorted(sent));
        ordered(seen);
        for (const m of seen.messages) assert.equal(`move ${m.headers.n}`, m.value);
      });
    }
  }

  test("two members share, leave, and another goes on where they were", async () => {
    await create("shared", 4);
    const seen = new Seen();
    const partitionAssigners = [PartitionAssigners.roundRobin];
    const members = [await consume("share", "shared", seen, { partitionAssigners }), await consume("share", "shared", seen, { partitionAssigners })];
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`shares of ${members.map((m) => m.share.size)}`)), limit);
      const look = () => members.every((m) => m.share.size === 2) && (clearTimeout(timer), resolve());
      for (const m of members) m.share.changed = look;
      look();
    });
    const producer = await connected(kafka.producer());
    const first = messages(400, "first");
    await producer.send({ topic: "shared", messages: first });
    await seen.reach(first.length);
    assert.deepEqual(sorted(seen.messages), sorted(first));
    const { groups } = await admin.describeGroups(["share"]);
    assert.deepEqual([groups[0].state, groups[0].members.length], ["Stable", 2]);
    await leave(...members);

    const second = messages(40, "second");
    await producer.send({ topic: "shared", messages: second });
    const later = new Seen();
    const member = await consume("share", "shared", later, { partitionAssigners });
    await later.reach(second.length);
    assert.deepEqual(sorted(later.messages), sorted(second));
    await leave(member);
    const [offsets] = await admin.fetchOffsets({ groupId: "share", topics: ["shared"] });
    assert.equal(offsets.partitions.reduce((n, p) => n + Number(p.offset), 0), 440);
    await admin.deleteGroups(["share"]);
  });

  test("transactions, with offsets of a group", async () => {
    await create("ledger", 2);
    await create("source", 1);
    const teller = await connected(kafka.producer({ transactionalId: "teller", maxInFlightRequests: 1, idempotent: true }));
    const kept = [];
    for (const [i, commit] of [true, false, true].entries()) {
      const sent = messages(30, `transaction ${i}`);
      const transaction = await teller.transaction();
      await transaction.send({ topic: "ledger", messages: sent });
      await transaction.sendOffsets({ consumerGroupId: "copy", topics: [{ topic: "source", partitions: [{ partition: 0, offset: `${i + 7}` }] }] });
      if (commit) {
        await transaction.commit();
        kept.push(...sent);
      } else {
        await transaction.abort();
      }
    }
    const seen = new Seen();
    await consume("audit", "ledger", seen);
    await seen.reach(kept.length);
    assert.deepEqual(sorted(seen.messages), sorted(kept));
    const everything = new Seen();
    await consume("everything", "ledger", everything, { readUncommitted: true });
    await everything.reach(90);
    const [offsets] = await admin.fetchOffsets({ groupId: "copy", topics: ["source"] });
    assert.equal(offsets.partitions[0].offset, "9");

    const second = await connected(kafka.producer({ transactionalId: "teller", maxInFlightRequests: 1, idempotent: true }));
    await (await second.transaction()).abort();
    await assert.rejects(async () => {
      const transaction = await teller.transaction();
      await transaction.send({ topic: "ledger", messages: messages(3, "zombie") });
      await transaction.commit();
    }, /epoch|fenced/i);
  });

  test("topics, configuration, offsets", async () => {
    await create("table", 2);
    const resource = { type: ConfigResourceTypes.TOPIC, name: "table" };
    await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries: [{ name: "retention.ms", value: "7200000" }] }] });
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ ...resource, configNames: ["retention.ms"] }] });
    assert.equal(resources[0].configEntries[0].configValue, "7200000");
    await admin.createPartitions({ topicPartitions: [{ topic: "table", count: 3 }] });
    const producer = await connected(kafka.producer());
    await producer.send({ topic: "table", messages: [0, 1, 2].map((partition) => ({ partition, value: "row" })) });
    await admin.fetchTopicOffsets("table"); // which has the client learn where its partitions are
    await admin.deleteTopicRecords({ topic: "table", partitions: [{ partition: 0, offset: "1" }] });
    const offsets = await admin.fetchTopicOffsets("table");
    assert.deepEqual(offsets.map((o) => [o.partition, o.low, o.high]).sort(), [[0, "1", "1"], [1, "0", "1"], [2, "0", "1"]]);
    await admin.deleteTopics({ topics: ["table"] });
    assert.ok(!(await admin.listTopics()).includes("table"));
    await assert.rejects(admin.createTopics({ topics: [{ topic: "bad/name" }] }), (e) => e.errors?.[0]?.type === "INVALID_TOPIC_EXCEPTION");
  });
});
