// SPDX-License-Identifier: MIT
//
// The counterpart of examples/chat in Go: a goroutine that reads and one that writes for each
// member, and a bounded queue between. usage: peer-go-chat ADDRESS [MEMBERS]
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	longest = 500
	behind  = 1024 // lines that a member may be behind
	names   = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
)

type member struct {
	conn  net.Conn
	nick  string
	room  string
	queue chan []byte
	lost  atomic.Bool
}

type hall struct {
	sync.Mutex
	guests  int
	members map[*member]bool
	nicks   map[string]bool
	rooms   map[string]map[*member]bool
	most    int
}

// Under the lock: gives the line to everybody in the room; who is too far behind misses it.
func (h *hall) say(room, format string, arguments ...any) {
	line := []byte(fmt.Sprintf(format, arguments...))
	for m := range h.rooms[room] {
		select {
		case m.queue <- line:
		default:
			m.lost.Store(true)
		}
	}
}

func (h *hall) enter(m *member, room string) {
	if h.rooms[room] == nil {
		h.rooms[room] = map[*member]bool{}
	}
	m.room = room
	h.rooms[room][m] = true
}

func (h *hall) leave(m *member) {
	delete(h.rooms[m.room], m)
	if len(h.rooms[m.room]) == 0 {
		delete(h.rooms, m.room)
	}
}

func (h *hall) sitDown(conn net.Conn) *member {
	h.Lock()
	defer h.Unlock()
	if len(h.members) == h.most {
		return nil
	}
	m := &member{conn: conn, queue: make(chan []byte, behind)}
	for m.nick == "" || h.nicks[m.nick] {
		h.guests++
		m.nick = fmt.Sprintf("guest%d", h.guests)
	}
	h.members[m], h.nicks[m.nick] = true, true
	m.tell("* welcome, %s; / tells what there is\n", m.nick)
	h.enter(m, "lobby")
	h.say("lobby", "* %s has joined lobby\n", m.nick)
	return m
}

func (h *hall) standUp(m *member) {
	h.Lock()
	defer h.Unlock()
	h.leave(m)
	delete(h.members, m)
	delete(h.nicks, m.nick)
	h.say(m.room, "* %s has left\n", m.nick)
	close(m.queue)
}

// Tells one member; its own handler does, or the lock is held.
func (m *member) tell(format string, arguments ...any) {
	select {
	case m.queue <- []byte(fmt.Sprintf(format, arguments...)):
	default:
		m.lost.Store(true)
	}
}

func isName(name string) bool {
	return name != "" && len(name) < 32 && strings.Trim(name, names) == ""
}

func (h *hall) rename(m *member, nick string) {
	if !isName(nick) {
		m.tell("* /nick NAME: letters, digits, \"_\" and \"-\", at most 31\n")
	} else if h.nicks[nick] {
		m.tell("* %s is taken\n", nick)
	} else {
		delete(h.nicks, m.nick)
		before := m.nick
		h.nicks[nick], m.nick = true, nick
		h.say(m.room, "* %s is now %s\n", before, nick)
	}
}

func (h *hall) move(m *member, room string) {
	if !isName(room) {
		m.tell("* /join ROOM: letters, digits, \"_\" and \"-\", at most 31\n")
	} else if h.rooms[room] == nil && len(h.rooms) == 64 {
		m.tell("* there are too many rooms\n")
	} else if room != m.room {
		before := m.room
		h.leave(m)
		h.say(before, "* %s has left for %s\n", m.nick, room)
		h.enter(m, room)
		h.say(room, "* %s has joined %s\n", m.nick, room)
	}
}

func (h *hall) who(m *member) {
	line := "* in " + m.room + ":"
	for other := range h.rooms[m.room] {
		line += " " + other.nick
	}
	m.tell("%s\n", line)
}

func disarm(r rune) rune {
	if r < ' ' || r >= 127 && r < 160 {
		return '?'
	}
	return r
}

// False: the member goes.
func (h *hall) obey(m *member, line string) bool {
	h.Lock()
	defer h.Unlock()
	line = strings.TrimRight(line, "\r\n")
	if len(line) > longest {
		m.tell("* that was too long: %d bytes at once\n", longest)
		return true
	}
	word, text, _ := strings.Cut(strings.Map(disarm, line), " ")
	text = strings.TrimLeft(text, " ")
	switch {
	case word == "/nick":
		h.rename(m, text)
	case word == "/join":
		h.move(m, text)
	case word == "/who":
		h.who(m)
	case word == "/quit":
		m.tell("* goodbye, %s\n", m.nick)
		return false
	case strings.HasPrefix(word, "/"):
		m.tell("* /nick NAME, /join ROOM, /who, /quit; all else is said\n")
	case line != "":
		h.say(m.room, "%s: %s\n", m.nick, strings.Map(disarm, line))
	}
	return true
}

// Sends what is in the queue, several lines at once if there are, until it is closed.
func (h *hall) write(m *member, done chan bool) {
	defer close(done)
	defer m.conn.Close()
	var piece bytes.Buffer
	for line := range m.queue {
		piece.Reset()
		piece.Write(line)
		for more := true; more && piece.Len() < 4096; {
			select {
			case next, open := <-m.queue:
				piece.Write(next)
				more = open
			default:
				more = false
			}
		}
		if m.lost.Swap(false) {
			piece.WriteString("* you are slow, and have missed something\n")
		}
		m.conn.SetWriteDeadline(time.Now().Add(time.Minute))
		if _, err := m.conn.Write(piece.Bytes()); err != nil {
			return
		}
	}
}

func (h *hall) serve(conn net.Conn) {
	m := h.sitDown(conn)
	if m == nil {
		fmt.Fprint(conn, "* there is no seat left; come back later\n")
		conn.Close()
		return
	}
	done := make(chan bool)
	go h.write(m, done)
	lines := bufio.NewReaderSize(conn, 4096)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil && len(line) == 0 || err == bufio.ErrBufferFull || !h.obey(m, string(line)) {
			break
		}
	}
	h.standUp(m)
	<-done
}

// Says goodbye to all, and ends when they have heard it.
func (h *hall) stop() {
	h.Lock()
	for m := range h.members {
		m.tell("* the server is stopping; come back soon\n")
		m.conn.SetReadDeadline(time.Now())
	}
	h.Unlock()
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		h.Lock()
		left := len(h.members)
		h.Unlock()
		if left == 0 {
			break
		}
	}
	time.Sleep(10 * time.Millisecond)
	os.Exit(0)
}

func main() {
	h := &hall{members: map[*member]bool{}, nicks: map[string]bool{},
		rooms: map[string]map[*member]bool{}, most: 1000}
	if len(os.Args) > 2 {
		h.most, _ = strconv.Atoi(os.Args[2])
	}
	parts := strings.SplitN(os.Args[1], ":", 2)
	listener, err := net.Listen(parts[0], parts[1])
	if err != nil {
		log.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() { <-signals; listener.Close(); h.stop() }()
	for {
		conn, err := listener.Accept()
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go h.serve(conn)
	}
}
