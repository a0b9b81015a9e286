// kafkajs with one broker: `node kafkajs.mjs HOST:PORT SCENARIO`. Ends with 0, or throws.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import zlib from 'node:zlib'
import { lz4Compress, lz4Decompress } from '@platformatic/wasm-utils'

const require = createRequire(import.meta.url)
const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, AssignerProtocol, logLevel } = require('kafkajs')

// kafkajs brings gzip; for the others it has a place where programs put theirs. (Not lz4js: its blocks depend on each
// other, which Kafka does not take.)
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => lz4Compress(encoder.buffer),
  decompress: async (buffer) => lz4Decompress(buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => zlib.zstdCompressSync(encoder.buffer),
  decompress: async (buffer) => zlib.zstdDecompressSync(buffer),
})

const [, , address, scenario] = process.argv
const kafka = new Kafka({ clientId: 'interop', brokers: [address], logLevel: logLevel.ERROR })
const admin = kafka.admin()

async function until(what) {
  for (let end = Date.now() + 60000; Date.now() < end; await new Promise((done) => setTimeout(done, 50))) {
    const value = await what()
    if (value) return value
  }
  throw new Error('it did not happen in time')
}

const messages = (count, prefix = '') =>
  Array.from({ length: count }, (_, n) => ({ key: `${n % 50}`, value: `${prefix}${n}`, headers: { from: 'kafkajs', n: `${n}` } }))

async function member(group, topic, seen, options = {}) {
  const consumer = kafka.consumer({ groupId: group, sessionTimeout: 6000, heartbeatInterval: 500, rebalanceTimeout: 10000, ...options })
  consumer.held = []
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => (consumer.held = payload.memberAssignment[topic] ?? []))
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ partition, message }) => seen.push({ partition, offset: +message.offset, key: String(message.key), value: String(message.value), headers: message.headers }),
  })
  return consumer
}

const scenarios = {
  async produce() {
    await admin.createTopics({ topics: [{ topic: 't', numPartitions: 2 }] })
    const codecs = ['None', 'GZIP', 'Snappy', 'LZ4', 'ZSTD']
    for (const idempotent of [false, true]) {
      const producer = kafka.producer({ idempotent, maxInFlightRequests: idempotent ? 1 : undefined })
      await producer.connect()
      for (const codec of codecs) {
        const reports = await producer.send({ topic: 't', compression: CompressionTypes[codec], messages: messages(200, `${codec} ${idempotent} `) })
        assert.ok(reports.every((report) => report.errorCode === 0))
      }
      if (!idempotent) await producer.send({ topic: 't', acks: 0, messages: [{ value: 'no answer' }] })
      await producer.disconnect()
    }
    const seen = []
    const consumer = await member('g', 't', seen)
    await until(() => seen.length >= 2001)
    await consumer.disconnect()
    assert.equal(seen.length, 2001)
    for (const partition of [0, 1]) {
      const offsets = seen.filter((each) => each.partition === partition).map((each) => each.offset)
      assert.deepEqual(offsets, offsets.map((_, n) => n))
    }
    for (const codec of codecs) {
      const found = seen.filter((each) => each.value.startsWith(`${codec} true `))
      assert.deepEqual(found.map((each) => each.value).sort(), messages(200, `${codec} true `).map((each) => each.value).sort())
      assert.ok(found.every((each) => String(each.headers.from) === 'kafkajs' && each.key === `${each.value.split(' ')[2] % 50}`))
    }
  },

  async group() {
    await admin.createTopics({ topics: [{ topic: 't', numPartitions: 4 }] })
    const producer = kafka.producer()
    await producer.connect()
    const seen = []
    const first = await member('g', 't', seen)
    await until(() => first.held.length === 4)
    const second = await member('g', 't', seen)
    await until(() => first.held.length === 2 && second.held.length === 2)
    assert.deepEqual([...first.held, ...second.held].sort(), [0, 1, 2, 3])
    await producer.send({ topic: 't', messages: messages(500) })
    await until(() => new Set(seen.map((each) => each.value)).size === 500)
    await first.disconnect()
    await until(() => second.held.length === 4)
    await producer.send({ topic: 't', messages: messages(500, 'more ') })
    await until(() => new Set(seen.map((each) => each.value)).size === 1000)
    await second.disconnect()
    await producer.disconnect()
    const committed = await admin.fetchOffsets({ groupId: 'g', topics: ['t'] })
    assert.equal(committed[0].partitions.reduce((sum, each) => sum + +each.offset, 0), 1000)
    // Who comes back reads nothing again.
    const again = []
    const third = await member('g', 't', again)
    await until(() => third.held.length === 4)
    await producer.connect()
    await producer.send({ topic: 't', messages: [{ value: 'last' }] })
    await until(() => again.length > 0)
    assert.deepEqual(again.map((each) => each.value), ['last'])
    await third.disconnect()
    await producer.disconnect()
  },

  async admin() {
    assert.equal(await admin.createTopics({ waitForLeaders: true, topics: [{ topic: 't', numPartitions: 2, configEntries: [{ name: 'retention.ms', value: '7200000' }] }] }), true)
    assert.equal(await admin.createTopics({ topics: [{ topic: 't' }] }), false)
    await assert.rejects(admin.createTopics({ topics: [{ topic: 'bad/name' }] }))
    await assert.rejects(admin.createTopics({ topics: [{ topic: 'x', replicationFactor: 3 }] }))
    await admin.createPartitions({ topicPartitions: [{ topic: 't', count: 3 }] })
    assert.deepEqual(await admin.listTopics(), ['t'])
    const { topics } = await admin.fetchTopicMetadata({ topics: ['t'] })
    assert.deepEqual(topics[0].partitions.map((each) => each.leader), [1, 1, 1])
    const cluster = await admin.describeCluster()
    assert.deepEqual(cluster.brokers.map(({ nodeId, host, port }) => [nodeId, `${host}:${port}`]), [[1, address]])
    assert.equal(cluster.controller, 1)
    const described = async () => {
      const { resources } = await admin.describeConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: 't' }] })
      return Object.fromEntries(resources[0].configEntries.map((each) => [each.configName, each.configValue]))
    }
    assert.equal((await described())['retention.ms'], '7200000')
    await admin.alterConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: 't', configEntries: [{ name: 'segment.bytes', value: '1048576' }] }] })
    assert.equal((await described())['segment.bytes'], '1048576')
    assert.equal((await described())['retention.ms'], '604800000')
    const producer = kafka.producer()
    await producer.connect()
    await producer.send({ topic: 't', messages: Array.from({ length: 30 }, (_, n) => ({ value: `${n}`, partition: n % 3 })) })
    await producer.disconnect()
    assert.deepEqual((await admin.fetchTopicOffsets('t')).map(({ high, low }) => [high, low]), Array(3).fill(['10', '0']))
    assert.deepEqual((await admin.fetchTopicOffsetsByTimestamp('t', 1000)).map(({ offset }) => offset), Array(3).fill('0'))
    await admin.deleteTopicRecords({ topic: 't', partitions: [{ partition: 0, offset: '4' }] })
    assert.equal((await admin.fetchTopicOffsets('t')).find((each) => each.partition === 0).low, '4')
    const seen = []
    const consumer = await member('g', 't', seen)
    await until(() => seen.length === 26)
    const { groups } = await admin.describeGroups(['g'])
    assert.equal(groups[0].state, 'Stable')
    assert.equal(groups[0].protocolType, 'consumer')
    assert.deepEqual(AssignerProtocol.MemberAssignment.decode(groups[0].members[0].memberAssignment).assignment, { t: [0, 1, 2] })
    assert.ok((await admin.listGroups()).groups.some((each) => each.groupId === 'g'))
    await assert.rejects(admin.deleteGroups(['g']))
    await consumer.disconnect()
    await admin.setOffsets({ groupId: 'g', topic: 't', partitions: [{ partition: 1, offset: '7' }] })
    await admin.resetOffsets({ groupId: 'g', topic: 't', earliest: true })
    const [{ partitions }] = await admin.fetchOffsets({ groupId: 'g', topics: ['t'] })
    assert.deepEqual(partitions.map((each) => each.offset), ['-2', '-2', '-2'])
    assert.equal((await admin.deleteGroups(['g']))[0].errorCode, 0)
    await admin.deleteTopics({ topics: ['t'] })
    assert.deepEqual((await admin.listTopics()).filter((name) => name !== '__consumer_offsets'), [])
  },

  async absent() {
    await assert.rejects(admin.describeAcls({ resourceType: 2, resourceName: 't', resourcePatternType: 3, operation: 2, permissionType: 3 }))
    const producer = kafka.producer({ transactionalId: 'x', idempotent: true, maxInFlightRequests: 1, retry: { retries: 2 } })
    await assert.rejects(producer.connect().then(() => producer.transaction()))
    await producer.disconnect()
  },
}

await admin.connect()
await scenarios[scenario]()
await admin.disconnect()
