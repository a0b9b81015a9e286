// Go's clients with one broker: clients franz|sarama HOST:PORT SCENARIO. Ends with 0 if all went well.
package main

import (
	"fmt"
	"os"
	"sort"
	"time"
)

var address string

func check(ok bool, what ...any) {
	if !ok {
		panic(fmt.Sprint(what...))
	}
}

func must(err error) {
	check(err == nil, err)
}

func until(what func() bool) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if what() {
			return
		}
	}
	panic("it did not happen in time")
}

// A record as a consumer saw it.
type seen struct {
	partition int32
	offset    int64
	value     string
}

// Each partition from 0 without a gap, each value once.
func checkComplete(all []seen, count int) {
	values := map[string]bool{}
	offsets := map[int32][]int64{}
	for _, each := range all {
		values[each.value] = true
		offsets[each.partition] = append(offsets[each.partition], each.offset)
	}
	check(len(all) == count && len(values) == count, len(all), " records, ", len(values), " values")
	for partition, each := range offsets {
		check(sort.SliceIsSorted(each, func(a, b int) bool { return each[a] < each[b] }), "order of ", partition)
		check(each[0] == 0 && each[len(each)-1] == int64(len(each)-1), "offsets of ", partition)
	}
}

func main() {
	client, scenario := os.Args[1], os.Args[3]
	address = os.Args[2]
	scenarios := map[string]map[string]func(){
		"franz":  {"produce": franzProduce, "group": franzGroup, "admin": franzAdmin, "absent": franzAbsent},
		"sarama": {"produce": saramaProduce, "group": saramaGroup, "admin": saramaAdmin, "absent": saramaAbsent},
	}
	scenarios[client][scenario]()
}
