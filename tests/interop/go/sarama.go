package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Return.Successes = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Group.Session.Timeout = 6 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	config.Consumer.Group.Rebalance.Timeout = 10 * time.Second
	return config
}

func saramaCreate(partitions int32, entries map[string]*string) sarama.ClusterAdmin {
	admin, err := sarama.NewClusterAdmin([]string{address}, saramaConfig())
	must(err)
	must(admin.CreateTopic("t", &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: entries}, false))
	return admin
}

func saramaSend(config *sarama.Config, count int, prefix string) {
	producer, err := sarama.NewSyncProducer([]string{address}, config)
	must(err)
	var messages []*sarama.ProducerMessage
	for n := 0; n < count; n++ {
		messages = append(messages, &sarama.ProducerMessage{Topic: "t", Key: sarama.StringEncoder(fmt.Sprint(n)),
			Value: sarama.StringEncoder(prefix + fmt.Sprint(n))})
	}
	must(producer.SendMessages(messages))
	must(producer.Close())
}

// A member of group g; held and all are guarded.
type saramaMember struct {
	group sarama.ConsumerGroup
	lock  sync.Mutex
	held  int
	all   []seen
	done  chan bool
}

func (m *saramaMember) Setup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.held = len(session.Claims()["t"])
	return nil
}

func (m *saramaMember) Cleanup(session sarama.ConsumerGroupSession) error {
	session.Commit()
	return nil
}

func (m *saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.lock.Lock()
		m.all = append(m.all, seen{message.Partition, message.Offset, string(message.Value)})
		m.lock.Unlock()
		session.MarkMessage(message, "")
	}
	return nil
}

func newSaramaMember() *saramaMember {
	group, err := sarama.NewConsumerGroup([]string{address}, "g", saramaConfig())
	must(err)
	m := &saramaMember{group: group, done: make(chan bool)}
	go func() {
		defer close(m.done)
		for group.Consume(background, []string{"t"}, m) == nil {
		}
	}()
	return m
}

func (m *saramaMember) count() int {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.held
}

func (m *saramaMember) records() []seen {
	m.lock.Lock()
	defer m.lock.Unlock()
	return append([]seen{}, m.all...)
}

func (m *saramaMember) leave() {
	must(m.group.Close())
	<-m.done
}

func saramaProduce() {
	admin := saramaCreate(2, nil)
	for codec := sarama.CompressionNone; codec <= sarama.CompressionZSTD; codec++ {
		for _, idempotent := range []bool{false, true} {
			config := saramaConfig()
			config.Producer.Compression = codec
			config.Producer.Idempotent = idempotent
			if idempotent {
				config.Producer.RequiredAcks = sarama.WaitForAll
				config.Net.MaxOpenRequests = 1
			}
			saramaSend(config, 200, fmt.Sprint(codec, idempotent, " "))
		}
	}
	member := newSaramaMember()
	until(func() bool { return len(member.records()) >= 2000 })
	member.leave()
	checkComplete(member.records(), 2000)
	must(admin.Close())
}

func saramaGroup() {
	admin := saramaCreate(4, nil)
	first := newSaramaMember()
	until(func() bool { return first.count() == 4 })
	second := newSaramaMember()
	until(func() bool { return first.count() == 2 && second.count() == 2 })
	saramaSend(saramaConfig(), 500, "")
	until(func() bool { return len(first.records())+len(second.records()) >= 500 })
	first.leave()
	until(func() bool { return second.count() == 4 })
	saramaSend(saramaConfig(), 500, "more ")
	until(func() bool { return len(first.records())+len(second.records()) >= 1000 })
	second.leave()
	check(len(first.records())+len(second.records()) == 1000, "nothing is read twice")
	offsets, err := admin.ListConsumerGroupOffsets("g", nil)
	must(err)
	sum := int64(0)
	for _, block := range offsets.Blocks["t"] {
		sum += block.Offset
	}
	check(sum == 1000, sum)
	must(admin.Close())
}

func saramaAdmin() {
	retention, size := "7200000", "1048576"
	admin := saramaCreate(2, map[string]*string{"retention.ms": &retention})
	check(admin.CreateTopic("t", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false) != nil, "twice")
	must(admin.CreatePartitions("t", 3, nil, false))
	topics, err := admin.ListTopics()
	must(err)
	check(topics["t"].NumPartitions == 3 && *topics["t"].ConfigEntries["retention.ms"] == retention, topics)
	must(admin.IncrementalAlterConfig(sarama.TopicResource, "t", map[string]sarama.IncrementalAlterConfigsEntry{
		"segment.bytes": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &size}}, false))
	must(admin.AlterConfig(sarama.TopicResource, "t", map[string]*string{"retention.ms": &retention, "segment.bytes": &size}, false))
	entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: "t"})
	must(err)
	values := map[string]string{}
	for _, each := range entries {
		values[each.Name] = each.Value
	}
	check(values["segment.bytes"] == size && values["retention.ms"] == retention, values)
	saramaSend(saramaConfig(), 300, "")
	must(admin.DeleteRecords("t", map[int32]int64{0: 4}))
	client, err := sarama.NewClient([]string{address}, saramaConfig())
	must(err)
	start, err := client.GetOffset("t", 0, sarama.OffsetOldest)
	must(err)
	timed, err := client.GetOffset("t", 0, 1000)
	must(err)
	check(start == 4 && timed == 4, start, timed)
	must(client.Close())
	brokers, _, err := admin.DescribeCluster()
	must(err)
	check(len(brokers) == 1 && brokers[0].Addr() == address, brokers)
	_, err = admin.DescribeLogDirs([]int32{1})
	must(err)
	member := newSaramaMember()
	until(func() bool { return len(member.records()) == 296 })
	groups, err := admin.DescribeConsumerGroups([]string{"g"})
	must(err)
	check(groups[0].State == "Stable" && len(groups[0].Members) == 1, groups[0].State)
	check(admin.DeleteConsumerGroup("g") != nil, "it has a member")
	member.leave()
	must(admin.DeleteConsumerGroupOffset("g", "t", 0))
	must(admin.DeleteConsumerGroup("g"))
	must(admin.DeleteTopic("t"))
	must(admin.Close())
}

func saramaAbsent() {
	admin := saramaCreate(1, nil)
	begun := time.Now()
	_, err := admin.ListAcls(sarama.AclFilter{ResourceType: sarama.AclResourceAny, Operation: sarama.AclOperationAny, PermissionType: sarama.AclPermissionAny, ResourcePatternTypeFilter: sarama.AclPatternAny})
	check(err != nil && time.Since(begun) < 20*time.Second, "access control")
	config := saramaConfig()
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Net.MaxOpenRequests = 1
	config.Producer.Transaction.ID = "x"
	config.Producer.Transaction.Retry.Max = 2
	_, err = sarama.NewSyncProducer([]string{address}, config)
	check(err != nil && time.Since(begun) < 40*time.Second, "transactions")
	must(admin.Close())
}
