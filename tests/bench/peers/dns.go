// SPDX-License-Identifier: MIT
//
// The counterpart of examples/dns in Go, with the standard library alone: one zone, by UDP and TCP.
// usage: peer-dns ADDRESS ZONE
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	noError, formErr, nxDomain, notImp, refused, badVers = 0, 1, 3, 4, 5, 16

	typeA, typeNS, typeCNAME, typeSOA, typeMX, typeAAAA, typeSRV, typeOPT = 1, 2, 5, 6, 15, 28, 33, 41

	typeIXFR, typeAXFR, typeANY, classIN, classANY = 251, 252, 255, 1, 255

	question, answerSection, authority, additional = 0, 1, 2, 3

	qr, opcode, aa, tc, rd, cd = 0x8000, 0x7800, 0x0400, 0x0200, 0x0100, 0x0010

	plainMost, datagramMost, streamMost, queryMost, hops = 512, 1232, 65535, 4096, 8
)

// What data is made of: a, A: addresses; n, N: a name that may be compressed or not; s, l: numbers; p:
// seconds; x: strings.
type form struct {
	kind   uint16
	fields string
}

var forms = map[string]form{
	"A": {typeA, "a"}, "NS": {typeNS, "n"}, "CNAME": {typeCNAME, "n"}, "PTR": {12, "n"},
	"MX": {typeMX, "sn"}, "TXT": {16, "x"}, "AAAA": {typeAAAA, "A"}, "SRV": {typeSRV, "sssN"},
	"SOA": {typeSOA, "nnlpppp"},
}

type record struct {
	form
	ttl  uint32
	data []byte
}

type zone struct {
	nodes    map[string][]record // by name as it is sent, in lower case
	apex     string
	soa      record
	negative uint32
}

// ---- names

func parent(name string) string { return name[1+int(name[0]):] }

func nameSize(labels []byte) int {
	size := 0
	for labels[size] != 0 {
		size += 1 + int(labels[size])
	}
	return size + 1
}

func lower(labels []byte) string { return string(bytes.ToLower(labels[:nameSize(labels)])) }

func within(name, zone string) bool {
	for len(name) > len(zone) {
		name = parent(name)
	}
	return name == zone
}

// ---- the zone file

type word struct {
	text   string
	quoted bool
}

type parser struct {
	text             string
	line             int
	words            []word
	indented         bool
	origin, owner    []byte
	ttl              uint32
	hasTTL, hasOwner bool
	zone             *zone
}

func unescape(text string, at int) (byte, bool, int, error) {
	if text[at] != '\\' {
		return text[at], false, at + 1, nil
	}
	if at+1 >= len(text) {
		return 0, false, 0, errors.New("a wrong escape")
	}
	if text[at+1] < '0' || text[at+1] > '9' {
		return text[at+1], true, at + 2, nil
	}
	if at+4 > len(text) {
		return 0, false, 0, errors.New("a wrong escape")
	}
	value, err := strconv.ParseUint(text[at+1:at+4], 10, 8)
	return byte(value), true, at + 4, err
}

func (p *parser) name(text string) ([]byte, error) {
	var name []byte
	start, absolute := 0, text == "."
	if text != "." && text != "@" {
		name = append(name, 0)
		for at := 0; at < len(text); {
			var c byte
			var escaped bool
			var err error
			if c, escaped, at, err = unescape(text, at); err != nil {
				return nil, err
			}
			if c != '.' || escaped {
				name = append(name, c)
				if len(name)-start > 64 {
					return nil, fmt.Errorf("%q is no name", text)
				}
				continue
			}
			if len(name) == start+1 {
				return nil, fmt.Errorf("%q is no name: an empty label", text)
			}
			name[start] = byte(len(name) - start - 1)
			start = len(name)
			if absolute = at == len(text); !absolute {
				name = append(name, 0)
			}
		}
		if !absolute {
			name[start] = byte(len(name) - start - 1)
		}
	}
	if absolute {
		name = append(name, 0)
	} else if p.origin == nil {
		return nil, fmt.Errorf("%q is relative, and no $ORIGIN stands before it", text)
	} else {
		name = append(name, p.origin...)
	}
	if len(name) > 255 {
		return nil, fmt.Errorf("%q is no name: it has more than 255 bytes", text)
	}
	return name, nil
}

func period(w word) (uint32, bool) {
	units := map[byte]uint64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}
	var total, value uint64
	digits := 0
	for i := 0; i < len(w.text); i++ {
		c := w.text[i] | 0x20
		if w.text[i] >= '0' && w.text[i] <= '9' {
			value, digits = value*10+uint64(w.text[i]-'0'), digits+1
		} else if unit := units[c]; unit != 0 && digits > 0 {
			total, value, digits = total+value*unit, 0, 0
		} else {
			return 0, false
		}
		if value > 1<<31 || total > 1<<31 {
			return 0, false
		}
	}
	return uint32(total + value), w.text != "" && !w.quoted
}

// The words up to the end of a line that lies in no parentheses.
func (p *parser) read() error {
	depth := 0
	p.words = nil
	p.indented = p.text != "" && (p.text[0] == ' ' || p.text[0] == '\t')
	for p.text != "" {
		switch c := p.text[0]; c {
		case ';':
			end := strings.IndexByte(p.text, '\n')
			if end < 0 {
				end = len(p.text)
			}
			p.text = p.text[end:]
		case ' ', '\t', '\r':
			p.text = p.text[1:]
		case '(', ')':
			if p.text = p.text[1:]; c == '(' {
				depth++
			} else if depth--; depth < 0 {
				return errors.New(`")" without "("`)
			}
		case '\n':
			p.text = p.text[1:]
			p.line++
			if depth == 0 {
				return nil
			}
		default:
			ends := " \t\r\n;()\""
			quoted := c == '"'
			if quoted {
				ends, p.text = "\"\n", p.text[1:]
			}
			end := 0
			for end < len(p.text) && strings.IndexByte(ends, p.text[end]) < 0 {
				if p.text[end] == '\\' && end+1 < len(p.text) && p.text[end+1] != '\n' {
					end++
				}
				end++
			}
			p.words = append(p.words, word{p.text[:end], quoted})
			p.text = p.text[end:]
			if quoted {
				if p.text == "" || p.text[0] != '"' {
					return errors.New("a string without its closing quote")
				}
				p.text = p.text[1:]
			}
		}
	}
	if depth != 0 {
		return errors.New(`"(" without ")"`)
	}
	return nil
}

func (p *parser) field(kind byte, w word, data []byte) ([]byte, error) {
	bad := fmt.Errorf("%q is no value of this field", w.text)
	switch kind {
	case 'x':
		length := len(data)
		data = append(data, 0)
		for at := 0; at < len(w.text); {
			var c byte
			var err error
			if c, _, at, err = unescape(w.text, at); err != nil {
				return nil, err
			}
			data = append(data, c)
		}
		if len(data)-length > 256 || len(data) > 65535 {
			return nil, errors.New("a string of more than 255 bytes, or more than 65535 of all")
		}
		data[length] = byte(len(data) - length - 1)
	case 'n', 'N':
		name, err := p.name(w.text)
		if err != nil {
			return nil, err
		}
		data = append(data, name...)
	case 'a', 'A':
		ip := net.ParseIP(w.text)
		if ip == nil || (kind == 'a') != !strings.Contains(w.text, ":") {
			return nil, bad
		}
		if kind == 'a' {
			ip = ip.To4()
		}
		data = append(data, ip...)
	case 'p':
		seconds, good := period(w)
		if !good {
			return nil, bad
		}
		data = binary.BigEndian.AppendUint32(data, seconds)
	case 's', 'l':
		bits := map[byte]int{'s': 16, 'l': 32}[kind]
		n, err := strconv.ParseUint(w.text, 10, bits)
		if err != nil {
			return nil, bad
		}
		if kind == 's' {
			return binary.BigEndian.AppendUint16(data, uint16(n)), nil
		}
		data = binary.BigEndian.AppendUint32(data, uint32(n))
	}
	return data, nil
}

func (p *parser) add(r record) error {
	z, name := p.zone, lower(p.owner)
	if (r.kind == typeSOA) != (z.apex == "") {
		return errors.New("the first record must be the SOA, and no other")
	}
	if r.kind == typeSOA {
		z.apex, z.soa = name, r
		z.negative = binary.BigEndian.Uint32(r.data[len(r.data)-4:])
		if r.ttl < z.negative {
			z.negative = r.ttl
		}
	}
	if !within(name, z.apex) {
		return errors.New("the name lies outside of the zone")
	}
	if old := z.nodes[name]; len(old) > 0 && (r.kind == typeCNAME || old[0].kind == typeCNAME) {
		return errors.New("a CNAME has its name for itself")
	}
	z.nodes[name] = append(z.nodes[name], r)
	for name != z.apex {
		name = parent(name)
		z.nodes[name] = append(z.nodes[name]) // exists, at least without records
	}
	return nil
}

func (p *parser) record() (err error) {
	words := p.words
	if !p.indented {
		if p.owner, err = p.name(words[0].text); err != nil {
			return err
		}
		p.hasOwner, words = true, words[1:]
	}
	ttl, hasTTL, class := p.ttl, false, false
	for ; len(words) > 0; words = words[1:] {
		if !class && strings.EqualFold(words[0].text, "IN") {
			class = true
			continue
		}
		seconds, good := period(words[0])
		if hasTTL || !good {
			break
		}
		ttl, hasTTL = seconds, true
	}
	if !p.hasOwner || len(words) == 0 {
		return errors.New("a record without a name or a type")
	}
	form, known := forms[strings.ToUpper(words[0].text)]
	if !known {
		return fmt.Errorf("%q is no type that is known", words[0].text)
	}
	if !hasTTL && !p.hasTTL {
		return errors.New("no time to live: $TTL 3600 before it helps")
	}
	var data []byte
	words = words[1:]
	for i := 0; i < len(form.fields); i++ {
		for again := true; again; again = form.fields[i] == 'x' && len(words) > 0 {
			if len(words) == 0 {
				return errors.New("too few words for a record of this type")
			}
			if data, err = p.field(form.fields[i], words[0], data); err != nil {
				return err
			}
			words = words[1:]
		}
	}
	if len(words) > 0 {
		return errors.New("too many words for a record of this type")
	}
	return p.add(record{form, ttl, data})
}

func (p *parser) directive() (err error) {
	if len(p.words) == 2 && strings.EqualFold(p.words[0].text, "$ORIGIN") {
		p.origin, err = p.name(p.words[1].text)
		return err
	}
	if len(p.words) == 2 && strings.EqualFold(p.words[0].text, "$TTL") {
		if p.ttl, p.hasTTL = period(p.words[1]); p.hasTTL {
			return nil
		}
	}
	return errors.New("expected $ORIGIN NAME or $TTL SECONDS")
}

func load(path string) (*zone, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := parser{text: string(text), line: 1, zone: &zone{nodes: map[string][]record{}}}
	for p.text != "" {
		line := p.line
		err := p.read()
		if err == nil && len(p.words) > 0 {
			if !p.indented && strings.HasPrefix(p.words[0].text, "$") {
				err = p.directive()
			} else {
				err = p.record()
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, line, err)
		}
	}
	if p.zone.apex == "" || !has(p.zone.nodes[p.zone.apex], typeNS) {
		return nil, fmt.Errorf("%s: no SOA, or no NS at the apex", path)
	}
	return p.zone, nil
}

// ---- the query

type query struct {
	packet      []byte
	at          int
	kind, class uint16
	question    int
	name        string
	edns        bool
	do          uint16
	room        int
}

func (q *query) readName() bool {
	start := q.at
	for q.at < len(q.packet) && q.packet[q.at] <= 63 {
		label := q.packet[q.at]
		q.at += 1 + int(label)
		if q.at > len(q.packet) || q.at-start > 255 {
			return false
		}
		if label == 0 {
			q.name = lower(q.packet[start:])
			return true
		}
	}
	return false
}

func (q *query) skipName() bool {
	for q.at < len(q.packet) {
		label := q.packet[q.at]
		if label >= 0xc0 {
			q.at += 2
		} else {
			q.at += 1 + int(label)
		}
		if label == 0 || label >= 0xc0 {
			return q.at <= len(q.packet)
		}
	}
	return false
}

func (q *query) read() int {
	p, code := q.packet, noError
	q.at, q.room = 12, plainMost
	if binary.BigEndian.Uint16(p[2:])&opcode != 0 {
		return notImp
	}
	if binary.BigEndian.Uint16(p[4:]) != 1 || binary.BigEndian.Uint16(p[6:]) != 0 || !q.readName() ||
		len(p)-q.at < 4 {
		return formErr
	}
	q.kind, q.class = binary.BigEndian.Uint16(p[q.at:]), binary.BigEndian.Uint16(p[q.at+2:])
	q.at += 4
	end := q.at
	for count := int(binary.BigEndian.Uint16(p[8:])) + int(binary.BigEndian.Uint16(p[10:])); count > 0; count-- {
		start := q.at
		if !q.skipName() || len(p)-q.at < 10 {
			return formErr
		}
		head := p[q.at:]
		if q.at += 10 + int(binary.BigEndian.Uint16(head[8:])); q.at > len(p) {
			return formErr
		}
		if binary.BigEndian.Uint16(head) != typeOPT {
			continue
		}
		if q.edns || p[start] != 0 {
			return formErr
		}
		q.edns, q.room = true, int(binary.BigEndian.Uint16(head[2:]))
		q.do = binary.BigEndian.Uint16(head[6:]) & 0x8000
		if head[5] != 0 {
			code = badVers
		}
	}
	q.question = end - 12
	if code == noError && q.at != len(p) {
		return formErr
	}
	return code
}

// ---- the answer

type answer struct {
	data   []byte
	flags  uint16
	code   int
	counts [4]uint16
	places map[string]int // where names stand, in lower case
}

func (a *answer) put16(n int)    { a.data = append(a.data, byte(n>>8), byte(n)) }
func (a *answer) put32(n uint32) { a.data = binary.BigEndian.AppendUint32(a.data, n) }

func (a *answer) name(labels []byte) {
	for at := lower(labels); at[0] != 0; at = parent(at) {
		if place, there := a.places[at]; there {
			a.put16(0xc000 | place)
			return
		}
		if len(a.data) < 0x4000 {
			a.places[at] = len(a.data)
		}
		size := 1 + int(labels[0])
		a.data = append(a.data, labels[:size]...)
		labels = labels[size:]
	}
	a.data = append(a.data, 0)
}

func (a *answer) record(section int, owner []byte, ttl uint32, r record) {
	a.name(owner)
	a.put16(int(r.kind))
	a.put16(classIN)
	a.put32(ttl)
	sizeAt, data := len(a.data), r.data
	a.put16(0)
	for i := 0; i < len(r.fields) && (r.fields[i] == 'n' || r.fields[i] == 's'); i++ {
		size := 2
		if r.fields[i] == 'n' {
			size = nameSize(data)
			a.name(data)
		} else {
			a.data = append(a.data, data[:2]...)
		}
		data = data[size:]
	}
	a.data = append(a.data, data...)
	binary.BigEndian.PutUint16(a.data[sizeAt:], uint16(len(a.data)-sizeAt-2))
	a.counts[section]++
}

func (a *answer) records(section int, owner []byte, node []record, kind uint16) bool {
	before := a.counts[section]
	for _, r := range node {
		if r.kind == kind {
			a.record(section, owner, r.ttl, r)
		}
	}
	return a.counts[section] > before
}

func has(node []record, kind uint16) bool {
	for _, r := range node {
		if r.kind == kind {
			return true
		}
	}
	return false
}

func (a *answer) soa(z *zone) { a.record(authority, []byte(z.apex), z.negative, z.soa) }

func (a *answer) addresses(z *zone, node []record, kind uint16, limit int) {
	skip, wanted := map[uint16]int{typeMX: 2, typeSRV: 6, typeNS: 0}[kind]
	for _, r := range node {
		if !wanted || r.kind != kind {
			continue
		}
		size, counts := len(a.data), a.counts
		host := z.nodes[lower(r.data[skip:])]
		a.records(additional, r.data[skip:], host, typeA)
		a.records(additional, r.data[skip:], host, typeAAAA)
		if len(a.data) > limit {
			a.data, a.counts = a.data[:size], counts
			return // later names could point to what is gone
		}
	}
}

func (z *zone) lookUp(name string) (node []record, there bool, nearest, delegated string) {
	nearest = z.apex
	node, there = z.nodes[name]
	for above := name; len(above) > len(z.apex); above = parent(above) {
		found, exists := z.nodes[above]
		if exists && nearest == z.apex {
			nearest = above
		}
		if has(found, typeNS) {
			delegated = above
		}
	}
	return
}

func (a *answer) resolve(z *zone, q *query, limit int) {
	name, owner := q.name, q.packet[12:]
	a.flags |= aa
	for hop := 0; hop < hops && within(name, z.apex); hop++ {
		node, there, nearest, delegated := z.lookUp(name)
		if delegated != "" {
			a.records(authority, []byte(delegated), z.nodes[delegated], typeNS)
			a.addresses(z, z.nodes[delegated], typeNS, limit)
			if a.counts[answerSection] == 0 {
				a.flags &^= aa
			}
			return
		}
		if !there {
			node, there = z.nodes["\x01*"+nearest]
		}
		if !there {
			a.code = nxDomain
			a.soa(z)
			return
		}
		kind := q.kind
		if kind == typeANY && len(node) > 0 {
			kind = node[0].kind
		}
		if len(node) > 0 && node[0].kind == typeCNAME && kind != typeCNAME {
			a.record(answerSection, owner, node[0].ttl, node[0])
			owner = node[0].data
			name = lower(owner)
			continue
		}
		if a.records(answerSection, owner, node, kind) {
			a.addresses(z, node, kind, limit)
		} else {
			a.soa(z)
		}
		return
	}
}

func respond(z *zone, packet, room []byte, most int) []byte {
	if len(packet) < 12 || packet[2]&0x80 != 0 {
		return nil
	}
	q := query{packet: packet}
	a := answer{data: append(room[:0], packet[:12]...), places: map[string]int{}}
	a.flags = qr | binary.BigEndian.Uint16(packet[2:])&(opcode|rd|cd)
	a.code = q.read()
	limit := most
	if most < streamMost && q.room < most {
		limit = q.room
		if limit < plainMost {
			limit = plainMost
		}
	}
	if q.edns {
		limit -= 11
	}
	if q.question > 0 {
		a.data = append(a.data, packet[12:12+q.question]...)
		a.counts[question] = 1
		for at, name := 12, q.name; name[0] != 0; name = parent(name) {
			a.places[name] = at
			at += 1 + int(name[0])
		}
	}
	size := len(a.data)
	if a.code == noError {
		if q.class != classIN && q.class != classANY || q.kind == typeAXFR || q.kind == typeIXFR ||
			!within(q.name, z.apex) {
			a.code = refused
		} else {
			a.resolve(z, &q, limit)
		}
	}
	if len(a.data) > limit {
		a.data, a.flags = a.data[:size], a.flags|tc
		a.counts = [4]uint16{a.counts[question]}
	}
	if q.edns {
		a.data = append(a.data, 0, 0, typeOPT)
		a.put16(datagramMost)
		a.put32(uint32(a.code)>>4<<24 | uint32(q.do))
		a.put16(0)
		a.counts[additional]++
	}
	binary.BigEndian.PutUint16(a.data[2:], a.flags|uint16(a.code&15))
	for i, count := range a.counts {
		binary.BigEndian.PutUint16(a.data[4+2*i:], count)
	}
	return a.data
}

// ---- the sockets

func serveDatagrams(z *zone, socket *net.UDPConn) {
	packet, room := make([]byte, 65536), make([]byte, 0, 65536)
	for {
		size, from, err := socket.ReadFromUDPAddrPort(packet)
		if err != nil {
			continue
		}
		if answer := respond(z, packet[:size], room, datagramMost); answer != nil {
			socket.WriteToUDPAddrPort(answer, from)
		}
	}
}

func serveStream(z *zone, connection net.Conn) {
	defer connection.Close()
	packet, room := make([]byte, queryMost), make([]byte, 0, 1024)
	for {
		connection.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(connection, packet[:2]); err != nil {
			return
		}
		size := int(binary.BigEndian.Uint16(packet))
		if size > queryMost {
			return
		}
		if _, err := io.ReadFull(connection, packet[:size]); err != nil {
			return
		}
		answer := respond(z, packet[:size], room, streamMost)
		if answer == nil {
			return
		}
		if _, err := connection.Write(append([]byte{byte(len(answer) >> 8), byte(len(answer))}, answer...)); err != nil {
			return
		}
	}
}

func check(err error) {
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
}

func main() {
	address := strings.SplitN(os.Args[1], ":", 2)[1]
	zone, err := load(os.Args[2])
	check(err)
	listener, err := net.Listen("tcp", address)
	check(err)
	at, err := net.ResolveUDPAddr("udp", address)
	check(err)
	socket, err := net.ListenUDP("udp", at)
	check(err)
	go serveDatagrams(zone, socket)
	for {
		connection, err := listener.Accept()
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go serveStream(zone, connection)
	}
}
