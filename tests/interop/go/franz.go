package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var background = context.Background()

func franz(options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address)}, options...)...)
	must(err)
	return client
}

func franzCreate(partitions int32, configs map[string]*string) (*kgo.Client, *kadm.Client) {
	client := franz()
	admin := kadm.NewClient(client)
	made, err := admin.CreateTopics(background, partitions, 1, configs, "t")
	must(err)
	must(made["t"].Err)
	return client, admin
}

func franzSend(client *kgo.Client, count int, prefix string) {
	var records []*kgo.Record
	for n := 0; n < count; n++ {
		records = append(records, &kgo.Record{Topic: "t", Key: []byte(fmt.Sprint(n)), Value: []byte(prefix + fmt.Sprint(n)),
			Headers: []kgo.RecordHeader{{Key: "from", Value: []byte("franz")}}})
	}
	must(client.ProduceSync(background, records...).FirstErr())
}

type franzMember struct {
	client *kgo.Client
	lock   sync.Mutex
	held   map[int32]bool
	all    []seen
	done   chan bool
}

func (m *franzMember) count() int {
	m.lock.Lock()
	defer m.lock.Unlock()
	return len(m.held)
}

func (m *franzMember) records() []seen {
	m.lock.Lock()
	defer m.lock.Unlock()
	return append([]seen{}, m.all...)
}

func (m *franzMember) change(to bool) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
		m.lock.Lock()
		defer m.lock.Unlock()
		for _, partition := range parts["t"] {
			if to {
				m.held[partition] = true
			} else {
				delete(m.held, partition)
			}
		}
	}
}

func (m *franzMember) read() {
	for {
		fetches := m.client.PollFetches(background)
		if fetches.IsClientClosed() {
			close(m.done)
			return
		}
		m.lock.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			m.all = append(m.all, seen{r.Partition, r.Offset, string(r.Value)})
		})
		m.lock.Unlock()
	}
}

func newFranzMember(options ...kgo.Opt) *franzMember {
	m := &franzMember{held: map[int32]bool{}, done: make(chan bool)}
	m.client = franz(append([]kgo.Opt{kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.SessionTimeout(6 * time.Second),
		kgo.HeartbeatInterval(500 * time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(m.change(true)), kgo.OnPartitionsRevoked(m.change(false)),
		kgo.OnPartitionsLost(m.change(false))}, options...)...)
	go m.read()
	return m
}

func (m *franzMember) leave() {
	must(m.client.CommitUncommittedOffsets(background))
	m.client.Close()
	<-m.done
}

func franzProduce() {
	client, _ := franzCreate(2, nil)
	defer client.Close()
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	for name, codec := range codecs {
		options := [][]kgo.Opt{{}, {kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck())}}
		for n, more := range options {
			producer := franz(append(more, kgo.ProducerBatchCompression(codec))...)
			franzSend(producer, 200, fmt.Sprint(name, " ", n, " "))
			producer.Close()
		}
	}
	member := newFranzMember(kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	until(func() bool { return len(member.records()) >= 2000 })
	member.leave()
	checkComplete(member.records(), 2000)
}

func franzGroup() {
	client, admin := franzCreate(4, nil)
	defer client.Close()
	// Of cooperative members, the default.
	first := newFranzMember()
	until(func() bool { return first.count() == 4 })
	second := newFranzMember()
	until(func() bool { return first.count() == 2 && second.count() == 2 })
	franzSend(client, 500, "")
	until(func() bool { return len(first.records())+len(second.records()) >= 500 })
	first.leave()
	until(func() bool { return second.count() == 4 })
	franzSend(client, 500, "more ")
	until(func() bool { return len(first.records())+len(second.records()) >= 1000 })
	second.leave()
	check(len(first.records())+len(second.records()) == 1000, "nothing is read twice")
	offsets, err := admin.FetchOffsets(background, "g")
	must(err)
	sum := int64(0)
	offsets.Each(func(each kadm.OffsetResponse) { sum += each.At })
	check(sum == 1000, sum)
	static := newFranzMember(kgo.InstanceID("a"), kgo.Balancers(kgo.RangeBalancer()))
	until(func() bool { return static.count() == 4 })
	static.client.Close()
}

func franzAdmin() {
	retention := "7200000"
	client, admin := franzCreate(2, map[string]*string{"retention.ms": &retention})
	defer client.Close()
	again, err := admin.CreateTopics(background, 2, 1, nil, "t")
	must(err)
	check(again["t"].Err == kerr.TopicAlreadyExists, again["t"].Err)
	_, err = admin.UpdatePartitions(background, 3, "t")
	must(err)
	topics, err := admin.ListTopics(background)
	must(err)
	check(len(topics["t"].Partitions) == 3, topics)
	size := "1048576"
	_, err = admin.AlterTopicConfigs(background, []kadm.AlterConfig{{Name: "segment.bytes", Value: &size}}, "t")
	must(err)
	configs, err := admin.DescribeTopicConfigs(background, "t")
	must(err)
	values := map[string]string{}
	for _, each := range configs[0].Configs {
		values[each.Key] = each.MaybeValue()
	}
	check(values["segment.bytes"] == size && values["retention.ms"] == retention, values)
	franzSend(client, 300, "")
	ends, err := admin.ListEndOffsets(background, "t")
	must(err)
	sum := int64(0)
	ends.Each(func(each kadm.ListedOffset) { sum += each.Offset })
	check(sum == 300, sum)
	_, err = admin.ListMaxTimestampOffsets(background, "t")
	must(err)
	before := kadm.Offsets{}
	before.AddOffset("t", 0, 4, -1)
	deleted, err := admin.DeleteRecords(background, before)
	must(err)
	must(deleted.Error())
	starts, err := admin.ListStartOffsets(background, "t")
	must(err)
	check(starts["t"][0].Offset == 4, starts)
	timed, err := admin.ListOffsetsAfterMilli(background, 1000, "t")
	must(err)
	check(timed["t"][0].Offset == 4, timed["t"][0].Offset)
	_, err = admin.DescribeAllLogDirs(background, nil)
	must(err)
	member := newFranzMember()
	until(func() bool { return len(member.records()) == 296 })
	groups, err := admin.DescribeGroups(background, "g")
	must(err)
	check(groups["g"].State == "Stable" && len(groups["g"].Members) == 1, groups["g"].State)
	gone, _ := admin.DeleteGroups(background, "g")
	check(gone["g"].Err == kerr.NonEmptyGroup, gone["g"].Err)
	member.leave()
	lags, err := admin.Lag(background, "g")
	must(err)
	check(lags["g"].Lag.Total() == 0, lags["g"].Lag.Total())
	set := kadm.Offsets{}
	set.AddOffset("t", 1, 7, -1)
	must(admin.CommitAllOffsets(background, "g", set))
	gone, err = admin.DeleteGroups(background, "g")
	must(err)
	must(gone["g"].Err)
	_, err = admin.DeleteTopics(background, "t")
	must(err)
}

func franzAbsent() {
	client, admin := franzCreate(1, nil)
	defer client.Close()
	soon, cancel := context.WithTimeout(background, 20*time.Second)
	defer cancel()
	acls, err := admin.DescribeACLs(soon, kadm.NewACLs().AnyResource("t").Allow().AllowHosts().Operations(kadm.OpAny).ResourcePatternType(kadm.ACLPatternAny))
	must(err)
	check(acls[0].Err == kerr.SecurityDisabled, acls[0].Err)
	producer := franz(kgo.TransactionalID("x"))
	defer producer.Close()
	if err = producer.BeginTransaction(); err == nil {
		err = producer.ProduceSync(soon, &kgo.Record{Topic: "t", Value: []byte("x")}).FirstErr()
	}
	check(err != nil && soon.Err() == nil, "transactions")
}
