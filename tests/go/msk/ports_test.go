package msk

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kafka"

	"thalweg/tests/harness"
)

// forward maps an address to another, as a container's port is mapped, until the
// test ends.
func forward(t *testing.T, from, to string) {
	t.Helper()
	l, err := net.Listen("tcp", from)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			mu.Lock()
			open = append(open, in, out)
			mu.Unlock()
			pipe := func(dst, src net.Conn) {
				_, _ = io.Copy(dst, src) // ends with either side
				_ = dst.Close()
			}
			wg.Go(func() { pipe(out, in) })
			wg.Go(func() { pipe(in, out) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

// TestMappedPorts: clients that can reach nothing but mapped ports, at another host,
// are told that host, by the API and by the brokers.
func TestMappedPorts(t *testing.T) {
	const outside = "127.0.0.2" // this machine by another address
	s := harness.ForTest(t, harness.Options{Args: []string{"--advertise", "games=" + outside}})
	u := at(t, s, "000000000000")
	arn := u.create("games", 2)
	u.await(arn)
	brokers := u.bootstrap(arn)
	for _, b := range brokers {
		host, port, err := net.SplitHostPort(b)
		if err != nil || host != outside {
			t.Fatalf("%s, %v", b, err)
		}
		forward(t, b, net.JoinHostPort("127.0.0.1", port))
	}
	produce(t, brokers, "scores", 5)
	consume(t, brokers, "scores", 5)
	nodes, err := u.ListNodes(t.Context(), &kafka.ListNodesInput{ClusterArn: &arn})
	u.must("list nodes", err)
	for _, n := range nodes.NodeInfoList {
		if strings.Join(n.BrokerNodeInfo.Endpoints, " ") != outside {
			t.Errorf("%+v", n.BrokerNodeInfo)
		}
	}
}
