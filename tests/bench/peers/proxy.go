// SPDX-License-Identifier: MIT
//
// The counterpart of examples/proxy in Go. usage: peer-go-proxy ADDRESS TO [quiet]
package main

import (
	"io"
	"log"
	"net"
	"os"
	"strings"
	"time"
)

// One direction; its end is passed on, and the time of both is put off by each byte of either.
func pass(to, from net.Conn, idle time.Duration, done chan int64) {
	var total int64
	buf := make([]byte, 16384)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			until := time.Now().Add(idle)
			from.SetDeadline(until)
			to.SetDeadline(until)
			if _, err := to.Write(buf[:n]); err != nil {
				from.(interface{ CloseRead() error }).CloseRead()
				break
			}
			total += int64(n)
		}
		if err != nil {
			if err != io.EOF {
				to.Close()
			}
			break
		}
	}
	to.(interface{ CloseWrite() error }).CloseWrite()
	done <- total
}

func serve(client net.Conn, network, to string, idle time.Duration) {
	defer client.Close()
	began := time.Now()
	target, err := net.DialTimeout(network, to, 5*time.Second)
	if err != nil {
		log.Printf("cannot pass it on: %v", err)
		return
	}
	defer target.Close()
	in, out := make(chan int64, 1), make(chan int64, 1)
	go pass(target, client, idle, in)
	pass(client, target, idle, out)
	if len(os.Args) < 4 {
		log.Printf("%v: %s, %d bytes in, %d bytes out, %v", client.RemoteAddr(), to, <-in, <-out,
			time.Since(began))
	} else {
		<-in
	}
}

func main() {
	here, to := strings.SplitN(os.Args[1], ":", 2), strings.SplitN(os.Args[2], ":", 2)
	listener, err := net.Listen(here[0], here[1])
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Print(err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go serve(client, to[0], to[1], 10*time.Minute)
	}
}
