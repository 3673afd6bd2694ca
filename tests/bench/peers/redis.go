// SPDX-License-Identifier: MIT
//
// The counterpart of examples/redis in Go, with the standard library alone: the same commands and
// limits. usage: peer-redis ADDRESS
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	memory    = 64 << 20 // what the data may take; commands that add to it are refused then
	maxSize   = 1 << 20  // the longest command, the longest value and the longest answer
	mostWords = 1024
	besides   = 64 // bytes that each thing takes besides, about
	longest   = 1 << 50
	noMemory  = "OOM command not allowed when used memory > 'memory'"
	noInteger = "ERR value is not an integer or out of range"
	wrongKind = "WRONGTYPE Operation against a key holding the wrong kind of value"
)

type list struct {
	items []string // from the right
	left  []string // in reverse
}

func (l *list) len() int { return len(l.left) + len(l.items) }

func (l *list) at(i int) string {
	if i < len(l.left) {
		return l.left[len(l.left)-1-i]
	}
	return l.items[i-len(l.left)]
}

func (l *list) pop(left bool) string {
	from, other := &l.items, &l.left
	if left {
		from, other = other, from
	}
	if len(*from) == 0 { // the last of the other is far away: turn half of it round
		half := (len(*other) + 1) / 2
		for i := half - 1; i >= 0; i-- {
			*from = append(*from, (*other)[i])
		}
		*other = append([]string(nil), (*other)[half:]...)
	}
	value := (*from)[len(*from)-1]
	*from = (*from)[:len(*from)-1]
	return value
}

type node struct {
	value   interface{} // string, *list or map[string]string
	expires time.Time
}

var store = struct {
	sync.Mutex
	keys     map[string]*node
	expiring map[string]*node
	channels map[string]map[*client]bool
	used     int
}{keys: map[string]*node{}, expiring: map[string]*node{}, channels: map[string]map[*client]bool{}}

func size(value interface{}) int {
	total := 0
	switch v := value.(type) {
	case string:
		total = len(v)
	case *list:
		for i := 0; i < v.len(); i++ {
			total += len(v.at(i)) + besides
		}
	case map[string]string:
		for field, text := range v {
			total += len(field) + len(text) + besides
		}
	}
	return total
}

func drop(name string) {
	store.used -= len(name) + size(store.keys[name].value) + besides
	delete(store.keys, name)
	delete(store.expiring, name)
}

func find(name string) *node {
	n := store.keys[name]
	if n != nil && !n.expires.IsZero() && !time.Now().Before(n.expires) {
		drop(name)
		return nil
	}
	return n
}

func put(name string, value interface{}) *node {
	if find(name) != nil {
		drop(name)
	}
	n := &node{value: value}
	store.keys[name] = n
	store.used += len(name) + size(value) + besides
	return n
}

func expire(name string, n *node, at time.Time) {
	n.expires = at
	if at.IsZero() {
		delete(store.expiring, name)
	} else {
		store.expiring[name] = n
	}
}

type client struct {
	in     *bufio.Reader
	out    *bufio.Writer
	words  []string
	reply  []byte
	leaves bool

	connection net.Conn
	writing    sync.Mutex // guards out: what is published is written by another goroutine
	listens    map[string]bool
	mail       chan []byte
}

func (c *client) line(format string, arguments ...interface{}) {
	c.reply = append(append(c.reply, fmt.Sprintf(format, arguments...)...), "\r\n"...)
}

func (c *client) error(text string) { c.line("-%s", text) }
func (c *client) integer(n int64) {
	c.reply = append(strconv.AppendInt(append(c.reply, ':'), n, 10), "\r\n"...)
}
func (c *client) null() { c.reply = append(c.reply, "$-1\r\n"...) }
func (c *client) ok()   { c.reply = append(c.reply, "+OK\r\n"...) }

func (c *client) bulk(text string) {
	c.reply = append(strconv.AppendInt(append(c.reply, '$'), int64(len(text)), 10), "\r\n"...)
	c.reply = append(append(c.reply, text...), "\r\n"...)
}

func (c *client) number(word string) (int64, bool) {
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil || strings.HasPrefix(word, "+") {
		c.error(noInteger)
		return 0, false
	}
	return n, true
}

// The value of the first argument, of the kind that the zero value has; false if it is of another.
func (c *client) text() (string, bool, bool) {
	n := find(c.words[1])
	if n == nil {
		return "", false, true
	}
	text, good := n.value.(string)
	if !good {
		c.error(wrongKind)
	}
	return text, true, good
}

func (c *client) list(make bool) (*list, bool) {
	n := find(c.words[1])
	if n == nil && !make {
		return nil, true
	}
	if n == nil {
		n = put(c.words[1], &list{})
	}
	l, good := n.value.(*list)
	if !good {
		c.error(wrongKind)
	}
	return l, good
}

func (c *client) hash(make bool) (map[string]string, bool) {
	n := find(c.words[1])
	if n == nil && !make {
		return nil, true
	}
	if n == nil {
		n = put(c.words[1], map[string]string{})
	}
	h, good := n.value.(map[string]string)
	if !good {
		c.error(wrongKind)
	}
	return h, good
}

func set(c *client) {
	var lives int64
	var mustBeNew, mustBeOld bool
	for i := 3; i < len(c.words); i++ {
		switch word := strings.ToUpper(c.words[i]); {
		case (word == "EX" || word == "PX") && lives == 0 && i+1 < len(c.words):
			unit := int64(1)
			if word == "EX" {
				unit = 1000
			}
			n, good := c.number(c.words[i+1])
			if !good {
				return
			}
			if n <= 0 || n > longest/unit {
				c.error("ERR invalid expire time in 'set' command")
				return
			}
			lives = n * unit
			i++
		case word == "NX" && !mustBeOld:
			mustBeNew = true
		case word == "XX" && !mustBeNew:
			mustBeOld = true
		default:
			c.error("ERR syntax error")
			return
		}
	}
	if (mustBeNew || mustBeOld) && (find(c.words[1]) != nil) != mustBeOld {
		c.null()
		return
	}
	n := put(c.words[1], c.words[2])
	if lives > 0 {
		expire(c.words[1], n, time.Now().Add(time.Duration(lives)*time.Millisecond))
	}
	c.ok()
}

func add(c *client, by int64) {
	text, there, good := c.text()
	if !good {
		return
	}
	var n int64
	if there {
		if n, good = c.number(text); !good {
			return
		}
	}
	if by > 0 && n > math.MaxInt64-by || by < 0 && n < math.MinInt64-by {
		c.error("ERR increment or decrement would overflow")
		return
	}
	change(c.words[1], text, strconv.FormatInt(n+by, 10))
	c.integer(n + by)
}

// Keeps the time when it expires.
func change(name, old, text string) {
	n := find(name)
	if n == nil {
		put(name, text)
		return
	}
	n.value = text
	store.used += len(text) - len(old)
}

func push(c *client, left bool) {
	l, good := c.list(true)
	if !good {
		return
	}
	for _, word := range c.words[2:] {
		if left {
			l.left = append(l.left, word)
		} else {
			l.items = append(l.items, word)
		}
		store.used += len(word) + besides
	}
	c.integer(int64(l.len()))
}

func pop(c *client, left bool) {
	l, good := c.list(false)
	if !good {
		return
	}
	if l == nil {
		c.null()
		return
	}
	value := l.pop(left)
	store.used -= len(value) + besides
	c.bulk(value)
	if l.len() == 0 {
		drop(c.words[1])
	}
}

func lrange(c *client) {
	first, good := c.number(c.words[2])
	if !good {
		return
	}
	last, good := c.number(c.words[3])
	if !good {
		return
	}
	l, good := c.list(false)
	if !good {
		return
	}
	length := int64(0)
	if l != nil {
		length = int64(l.len())
	}
	if first < 0 {
		first = int64(math.Max(0, float64(first+length)))
	}
	if last < 0 {
		last += length
	} else if last >= length {
		last = length - 1
	}
	if first > last {
		c.line("*0")
		return
	}
	c.line("*%d", last-first+1)
	for ; first <= last && len(c.reply) <= maxSize; first++ {
		c.bulk(l.at(int(first)))
	}
}

func hset(c *client) {
	if len(c.words)%2 != 0 {
		c.error("ERR wrong number of arguments for 'hset' command")
		return
	}
	h, good := c.hash(true)
	if !good {
		return
	}
	added := int64(0)
	for i := 2; i < len(c.words); i += 2 {
		old, there := h[c.words[i]]
		if !there {
			added++
			store.used += len(c.words[i]) + besides
		}
		store.used += len(c.words[i+1]) - len(old)
		h[c.words[i]] = c.words[i+1]
	}
	c.integer(added)
}

func hdel(c *client) {
	h, good := c.hash(false)
	if !good {
		return
	}
	dropped := int64(0)
	for _, field := range c.words[2:] {
		if text, there := h[field]; there {
			store.used -= len(field) + len(text) + besides
			delete(h, field)
			dropped++
		}
	}
	if h != nil && len(h) == 0 {
		drop(c.words[1])
	}
	c.integer(dropped)
}

func (c *client) channel(what, name string) {
	c.line("*3")
	c.bulk(what)
	c.bulk(name)
	c.integer(int64(len(c.listens)))
}

func subscribe(c *client) {
	if c.mail == nil {
		c.mail, c.listens = make(chan []byte, 64), map[string]bool{}
		go c.deliver()
	}
	for _, name := range c.words[1:] {
		if store.channels[name] == nil {
			store.channels[name] = map[*client]bool{}
		}
		store.channels[name][c], c.listens[name] = true, true
		c.channel("subscribe", name)
	}
}

func (c *client) unlisten(name string) {
	delete(c.listens, name)
	if delete(store.channels[name], c); len(store.channels[name]) == 0 {
		delete(store.channels, name)
	}
}

func unsubscribe(c *client) {
	names := c.words[1:]
	if len(names) == 0 {
		for name := range c.listens {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		c.line("*3")
		c.bulk("unsubscribe")
		c.null()
		c.integer(0)
	}
	for _, name := range names {
		c.unlisten(name)
		c.channel("unsubscribe", name)
	}
}

func publish(c *client) {
	c.line("*3")
	c.bulk("message")
	c.bulk(c.words[1])
	c.bulk(c.words[2])
	message, told := c.reply, int64(0)
	c.reply = nil
	for listener := range store.channels[c.words[1]] {
		select {
		case listener.mail <- message:
			told++
		default: // it does not read
			listener.connection.Close()
		}
	}
	c.integer(told)
}

func (c *client) deliver() {
	for message := range c.mail {
		c.writing.Lock()
		c.out.Write(message)
		if len(c.mail) == 0 {
			c.out.Flush()
		}
		c.writing.Unlock()
	}
}

func (c *client) end() {
	c.connection.Close()
	store.Lock()
	defer store.Unlock()
	for name := range c.listens {
		c.unlisten(name)
	}
	if c.mail != nil {
		close(c.mail)
	}
}

func expireCommand(c *client) {
	n, seconds := find(c.words[1]), int64(0)
	seconds, good := c.number(c.words[2])
	if !good {
		return
	}
	if seconds > longest/1000 {
		c.error(noInteger)
		return
	}
	if n == nil {
		c.integer(0)
		return
	}
	if seconds > 0 {
		expire(c.words[1], n, time.Now().Add(time.Duration(seconds)*time.Second))
	} else {
		drop(c.words[1])
	}
	c.integer(1)
}

func keys(c *client) {
	var found []string
	now := time.Now()
	for name, n := range store.keys {
		if matched, _ := path.Match(c.words[1], name); matched && (n.expires.IsZero() || now.Before(n.expires)) {
			found = append(found, name)
		}
	}
	c.line("*%d", len(found))
	for _, name := range found {
		c.bulk(name)
	}
}

type command struct {
	least, most int
	grows       bool
	run         func(c *client)
}

var commands = map[string]command{
	"append": {3, 3, true, func(c *client) {
		text, _, good := c.text()
		if good && len(text)+len(c.words[2]) > maxSize {
			c.error("ERR string exceeds maximum allowed size")
		} else if good {
			change(c.words[1], text, text+c.words[2])
			c.integer(int64(len(text) + len(c.words[2])))
		}
	}},
	"client":  {2, 0, false, func(c *client) { c.ok() }},
	"command": {1, 0, false, func(c *client) { c.line("*0") }},
	"config": {3, 0, false, func(c *client) {
		if strings.ToUpper(c.words[1]) != "GET" {
			c.error("ERR only CONFIG GET is known")
			return
		}
		c.line("*2")
		c.bulk(c.words[2])
		c.bulk("")
	}},
	"dbsize": {1, 1, false, func(c *client) { c.integer(int64(len(store.keys))) }},
	"decr":   {2, 2, true, func(c *client) { add(c, -1) }},
	"del": {2, 0, false, func(c *client) {
		dropped := int64(0)
		for _, name := range c.words[1:] {
			if find(name) != nil {
				drop(name)
				dropped++
			}
		}
		c.integer(dropped)
	}},
	"echo": {2, 2, false, func(c *client) { c.bulk(c.words[1]) }},
	"exists": {2, 0, false, func(c *client) {
		found := int64(0)
		for _, name := range c.words[1:] {
			if find(name) != nil {
				found++
			}
		}
		c.integer(found)
	}},
	"expire": {3, 3, false, expireCommand},
	"flushall": {1, 2, false, func(c *client) {
		store.keys, store.expiring, store.used = map[string]*node{}, map[string]*node{}, 0
		c.ok()
	}},
	"get": {2, 2, false, func(c *client) {
		if text, there, good := c.text(); there && good {
			c.bulk(text)
		} else if good {
			c.null()
		}
	}},
	"hdel": {3, 0, false, hdel},
	"hello": {1, 0, false, func(c *client) {
		if len(c.words) > 1 && c.words[1] != "2" {
			c.error("NOPROTO unsupported protocol version")
			return
		}
		c.line("*4")
		c.bulk("server")
		c.bulk("go")
		c.bulk("proto")
		c.integer(2)
	}},
	"hget": {3, 3, false, func(c *client) {
		h, good := c.hash(false)
		if text, there := h[c.words[2]]; there {
			c.bulk(text)
		} else if good {
			c.null()
		}
	}},
	"hset": {4, 0, true, hset},
	"incr": {2, 2, true, func(c *client) { add(c, 1) }},
	"incrby": {3, 3, true, func(c *client) {
		if n, good := c.number(c.words[2]); good {
			add(c, n)
		}
	}},
	"info": {1, 0, false, func(c *client) {
		c.bulk(fmt.Sprintf("# Memory\r\nused_memory:%d\r\n# Keyspace\r\ndb0:keys=%d\r\n", store.used, len(store.keys)))
	}},
	"keys": {2, 2, false, keys},
	"llen": {2, 2, false, func(c *client) {
		if l, good := c.list(false); good && l != nil {
			c.integer(int64(l.len()))
		} else if good {
			c.integer(0)
		}
	}},
	"lpop":   {2, 2, false, func(c *client) { pop(c, true) }},
	"lpush":  {3, 0, true, func(c *client) { push(c, true) }},
	"lrange": {4, 4, false, lrange},
	"mget": {2, 0, false, func(c *client) {
		c.line("*%d", len(c.words)-1)
		for _, name := range c.words[1:] {
			n := find(name)
			if n != nil {
				if text, good := n.value.(string); good {
					c.bulk(text)
					continue
				}
			}
			c.null()
		}
	}},
	"mset": {3, 0, true, func(c *client) {
		if len(c.words)%2 == 0 {
			c.error("ERR wrong number of arguments for 'mset' command")
			return
		}
		for i := 1; i < len(c.words); i += 2 {
			put(c.words[i], c.words[i+1])
		}
		c.ok()
	}},
	"persist": {2, 2, false, func(c *client) {
		n := find(c.words[1])
		if n == nil || n.expires.IsZero() {
			c.integer(0)
			return
		}
		expire(c.words[1], n, time.Time{})
		c.integer(1)
	}},
	"ping": {1, 2, false, func(c *client) {
		if len(c.listens) > 0 {
			c.line("*2")
			c.bulk("pong")
		}
		if len(c.words) > 1 {
			c.bulk(c.words[1])
		} else if len(c.listens) > 0 {
			c.bulk("")
		} else {
			c.line("+PONG")
		}
	}},
	"publish": {3, 3, false, publish},
	"quit":    {1, 0, false, func(c *client) { c.ok(); c.leaves = true }},
	"rpop":    {2, 2, false, func(c *client) { pop(c, false) }},
	"rpush":   {3, 0, true, func(c *client) { push(c, false) }},
	"select": {2, 2, false, func(c *client) {
		if c.words[1] == "0" {
			c.ok()
		} else {
			c.error("ERR DB index is out of range")
		}
	}},
	"set": {3, 0, true, set},
	"strlen": {2, 2, false, func(c *client) {
		if text, _, good := c.text(); good {
			c.integer(int64(len(text)))
		}
	}},
	"subscribe": {2, 0, true, subscribe},
	"ttl": {2, 2, false, func(c *client) {
		n := find(c.words[1])
		switch {
		case n == nil:
			c.integer(-2)
		case n.expires.IsZero():
			c.integer(-1)
		default:
			c.integer(int64(time.Until(n.expires).Seconds() + 0.5))
		}
	}},
	"type": {2, 2, false, func(c *client) {
		kind := "none"
		if n := find(c.words[1]); n != nil {
			switch n.value.(type) {
			case string:
				kind = "string"
			case *list:
				kind = "list"
			default:
				kind = "hash"
			}
		}
		c.line("+%s", kind)
	}},
	"unsubscribe": {1, 0, false, unsubscribe},
}

func (c *client) run() {
	store.Lock()
	defer store.Unlock()
	name := strings.ToLower(c.words[0])
	command, known := commands[name]
	switch {
	case !known:
		c.error(fmt.Sprintf("ERR unknown command %.64q", c.words[0]))
	case len(c.words) < command.least || command.most > 0 && len(c.words) > command.most:
		c.error(fmt.Sprintf("ERR wrong number of arguments for '%s' command", name))
	case command.grows && store.used > memory:
		c.error(noMemory)
	default:
		command.run(c)
	}
	if len(c.reply) > maxSize+64 {
		c.reply = nil
		c.error("ERR the answer is longer than max_size")
	}
}

var errProtocol = errors.New("invalid length")

func (c *client) readLine() (string, error) {
	line, err := c.in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		return "", errProtocol
	}
	return strings.TrimRight(string(line), "\r\n"), err
}

func header(line string, mark byte, most int) (int, error) {
	if len(line) < 2 || line[0] != mark {
		return 0, errProtocol
	}
	n, err := strconv.Atoi(line[1:])
	if err != nil || n < 0 || n > most {
		return 0, errProtocol
	}
	return n, nil
}

func (c *client) read() error {
	c.words = c.words[:0]
	line, err := c.readLine()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "*") {
		if c.words = strings.Fields(line); len(c.words) > mostWords {
			return errProtocol
		}
		return nil
	}
	count, err := header(line, '*', mostWords)
	for total := 0; err == nil && count > 0; count-- {
		if line, err = c.readLine(); err != nil {
			return err
		}
		length, err := header(line, '$', maxSize-total)
		if err != nil {
			return err
		}
		total += length + 2
		word := make([]byte, length+2)
		if _, err = io.ReadFull(c.in, word); err != nil {
			return err
		}
		if string(word[length:]) != "\r\n" {
			return errProtocol
		}
		c.words = append(c.words, string(word[:length]))
	}
	return err
}

func (c *client) write() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.out.Write(c.reply)
	if err == nil && c.in.Buffered() == 0 || c.leaves {
		err = c.out.Flush()
	}
	c.reply = c.reply[:0]
	return err
}

func serve(connection net.Conn) {
	c := &client{in: bufio.NewReader(connection), out: bufio.NewWriter(connection), connection: connection}
	defer c.end()
	for !c.leaves {
		if err := c.read(); err == errProtocol {
			c.error("ERR Protocol error: " + err.Error())
			c.leaves = true
		} else if err != nil {
			return
		} else if len(c.words) > 0 {
			c.run()
		}
		if c.write() != nil {
			return
		}
	}
}

func sweep() {
	for range time.Tick(time.Second / 2) {
		store.Lock()
		looked := 0
		for name := range store.expiring {
			find(name)
			if looked++; looked == 200 {
				break
			}
		}
		store.Unlock()
	}
}

func main() {
	parts := strings.SplitN(os.Args[1], ":", 2)
	listener, err := net.Listen(parts[0], parts[1])
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
	go sweep()
	for {
		connection, err := listener.Accept()
		if err != nil {
			time.Sleep(10 * time.Millisecond) // as long as there are no descriptors, for one
			continue
		}
		go serve(connection)
	}
}
