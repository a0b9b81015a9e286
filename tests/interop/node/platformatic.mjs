// @platformatic/kafka with one broker: `node platformatic.mjs HOST:PORT SCENARIO`. Ends with 0, or throws.
import assert from 'node:assert/strict'
import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'

const [, , address, scenario] = process.argv
const common = { clientId: 'interop', bootstrapBrokers: [address] }
const admin = new Admin(common)
const TOPIC = 2 // the kind of resource

async function until(what) {
  for (let end = Date.now() + 60000; Date.now() < end; await new Promise((done) => setTimeout(done, 50))) {
    const value = await what()
    if (value) return value
  }
  throw new Error('it did not happen in time')
}

const messages = (count, prefix = '') =>
  Array.from({ length: count }, (_, n) => ({ topic: 't', key: `${n % 50}`, value: `${prefix}${n}`, headers: { from: 'platformatic' } }))

const newProducer = (options = {}) => new Producer({ ...common, serializers: stringSerializers, ...options })

async function member(group, seen, options = {}) {
  const consumer = new Consumer({
    ...common, groupId: group, deserializers: stringDeserializers, sessionTimeout: 6000, heartbeatInterval: 500,
    rebalanceTimeout: 10000, maxWaitTime: 200, autocommit: 200, ...options,
  })
  consumer.stream = await consumer.consume({ topics: ['t'], mode: 'committed', fallbackMode: 'earliest' })
  consumer.stream.on('data', (message) => seen.push(message))
  consumer.held = () => (consumer.assignments ?? []).flatMap((each) => each.partitions).sort()
  return consumer
}

const scenarios = {
  async produce() {
    await admin.createTopics({ topics: ['t'], partitions: 2, replicas: 1 })
    const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
    for (const idempotent of [false, true]) {
      const producer = newProducer({ idempotent })
      for (const compression of codecs) {
        const { offsets } = await producer.send({ compression, acks: -1, messages: messages(200, `${compression} ${idempotent} `) })
        assert.ok(offsets.length > 0)
      }
      if (!idempotent) await producer.send({ acks: 0, messages: [{ topic: 't', value: 'no answer' }] })
      await producer.close()
    }
    const seen = []
    const consumer = await member('g', seen)
    await until(() => seen.length >= 2001)
    await consumer.close(true)
    assert.equal(seen.length, 2001)
    for (const partition of [0, 1]) {
      const offsets = seen.filter((each) => each.partition === partition).map((each) => Number(each.offset))
      assert.deepEqual(offsets, offsets.map((_, n) => n))
    }
    for (const codec of codecs) {
      const found = seen.filter((each) => each.value.startsWith(`${codec} true `))
      assert.deepEqual(found.map((each) => each.value).sort(), messages(200, `${codec} true `).map((each) => each.value).sort())
      assert.ok(found.every((each) => each.headers.get('from') === 'platformatic' && each.key === `${each.value.split(' ')[2] % 50}`))
    }
  },

  async group() {
    await admin.createTopics({ topics: ['t'], partitions: 4, replicas: 1 })
    const producer = newProducer()
    const seen = []
    const values = () => new Set(seen.map((each) => each.value)).size
    const first = await member('g', seen)
    await until(() => first.held().length === 4)
    const second = await member('g', seen)
    await until(() => first.held().length === 2 && second.held().length === 2)
    assert.deepEqual([...first.held(), ...second.held()].sort(), [0, 1, 2, 3])
    await producer.send({ messages: messages(500) })
    await until(() => values() === 500)
    await first.close(true)
    await until(() => second.held().length === 4)
    await producer.send({ messages: messages(500, 'more ') })
    await until(() => values() === 1000)
    const sum = (group) => group.topics.flatMap((each) => each.partitions).reduce((total, each) => total + Number(each.committedOffset), 0)
    await until(async () => sum((await admin.listConsumerGroupOffsets({ groups: ['g'] }))[0]) === 1000)
    await second.close(true)
    const again = []
    const third = await member('g', again)
    await until(() => third.held().length === 4)
    await producer.send({ messages: [{ topic: 't', value: 'last' }] })
    await until(() => again.length > 0)
    assert.deepEqual(again.map((each) => each.value), ['last'])
    await third.close(true)
    await producer.close()
  },

  async admin() {
    const made = await admin.createTopics({ topics: ['t'], partitions: 2, replicas: 1, configs: [{ name: 'retention.ms', value: '7200000' }] })
    assert.equal(made[0].partitions, 2)
    await assert.rejects(admin.createTopics({ topics: ['t'], partitions: 2, replicas: 1 }))
    await assert.rejects(admin.createTopics({ topics: ['bad/name'], partitions: 2, replicas: 1 }))
    await admin.createPartitions({ topics: [{ name: 't', count: 3, assignments: null }] })
    assert.deepEqual(await admin.listTopics(), ['t'])
    const metadata = await admin.metadata({ topics: ['t'] })
    assert.equal(metadata.topics.get('t').partitionsCount, 3)
    const described = async () => {
      const [found] = await admin.describeConfigs({ resources: [{ resourceType: TOPIC, resourceName: 't' }] })
      return Object.fromEntries(found.configs.map((each) => [each.name, each.value]))
    }
    assert.equal((await described())['retention.ms'], '7200000')
    await admin.incrementalAlterConfigs({ resources: [{ resourceType: TOPIC, resourceName: 't', configs: [{ name: 'segment.bytes', configOperation: 0, value: '1048576' }] }] })
    assert.equal((await described())['segment.bytes'], '1048576')
    assert.equal((await described())['retention.ms'], '7200000')
    await admin.alterConfigs({ resources: [{ resourceType: TOPIC, resourceName: 't', configs: [] }] })
    assert.equal((await described())['segment.bytes'], '1073741824')
    const producer = newProducer()
    await producer.send({ messages: Array.from({ length: 30 }, (_, n) => ({ topic: 't', value: `${n}`, partition: n % 3 })) })
    await producer.close()
    const ends = async (timestamp) => {
      const [found] = await admin.listOffsets({ topics: [{ name: 't', partitions: [0, 1, 2].map((partitionIndex) => ({ partitionIndex, timestamp })) }] })
      return found.partitions.sort((a, b) => a.partitionIndex - b.partitionIndex).map((each) => Number(each.offset))
    }
    assert.deepEqual(await ends(-1n), [10, 10, 10])
    assert.deepEqual(await ends(1000n), [0, 0, 0])
    const deleted = await admin.deleteRecords({ topics: [{ name: 't', partitions: [{ partition: 0, offset: 4n }] }] })
    assert.equal(deleted[0].partitions[0].lowWatermark, 4n)
    assert.deepEqual(await ends(-2n), [4, 0, 0])
    const seen = []
    const consumer = await member('g', seen)
    await until(() => seen.length === 26)
    const group = (await admin.describeGroups({ groups: ['g'] })).get('g')
    assert.equal(group.state, 'Stable')
    assert.equal(group.members.size, 1)
    assert.deepEqual([...group.members.values()][0].assignments.get('t').partitions, [0, 1, 2])
    assert.ok((await admin.listGroups({ states: ['STABLE'], types: ['classic'] })).has('g'))
    await assert.rejects(admin.deleteGroups({ groups: ['g'] }))
    await consumer.close(true)
    await admin.alterConsumerGroupOffsets({ groupId: 'g', topics: [{ name: 't', partitionOffsets: [{ partition: 1, offset: 7n }] }] })
    const [offsets] = await admin.listConsumerGroupOffsets({ groups: ['g'] })
    assert.equal(offsets.topics[0].partitions.find((each) => each.partitionIndex === 1).committedOffset, 7n)
    await admin.deleteConsumerGroupOffsets({ groupId: 'g', topics: [{ name: 't', partitionIndexes: [1] }] })
    await admin.deleteGroups({ groups: ['g'] })
    const dirs = await admin.describeLogDirs({ topics: [{ name: 't', partitions: [0, 1, 2] }] })
    assert.equal(dirs[0].results[0].topics[0].partitions.length, 3)
    const found = await admin.findCoordinator({ keyType: 0, keys: ['a', 'b'] })
    assert.deepEqual(found.map((each) => `${each.host}:${each.port}`), [address, address])
    await admin.deleteTopics({ topics: ['t'] })
    assert.deepEqual(await admin.listTopics(), [])
  },

  async absent() {
    await assert.rejects(admin.describeAcls({ filter: { resourceType: 2, resourceName: 't', resourcePatternType: 3, principal: null, host: null, operation: 2, permissionType: 3 } }))
    assert.deepEqual(await admin.describeClientQuotas({ components: [{ entityType: 'user', matchType: 2 }] }), [])
    const producer = newProducer({ idempotent: true, transactionalId: 'x', retries: 1 })
    await assert.rejects(producer.beginTransaction())
    await producer.close()
    const consumer = new Consumer({ ...common, groupId: 'n', groupProtocol: 'consumer', retries: 1 })
    await assert.rejects(consumer.consume({ topics: ['t'], maxWaitTime: 200 }))
    await consumer.close(true)
  },
}

await scenarios[scenario]()
await admin.close()
