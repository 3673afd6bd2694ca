// SPDX-License-Identifier: MIT
//
// The counterpart of examples/smtp in Go. usage: peer-go-smtp ADDRESS MAILDIR
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	hostname       = "localhost"
	maxSize        = 10 << 20
	maxRecipients  = 100
	longestCommand = 1000
	longestPath    = 256
	longestLine    = 8192
	patience       = 5 * time.Minute
	mistakes       = 10
)

var (
	maildir  string
	number   atomic.Uint64
	draining atomic.Bool
	sessions sync.WaitGroup
	waiting  sync.Map // sessions between two commands
	errLong  = errors.New("line too long")
)

type session struct {
	conn       net.Conn
	in         *bufio.Reader
	out        *bufio.Writer
	name       string
	sender     string
	recipients int
	mistakes   int
	file       *os.File
	text       *bufio.Writer
	path       string // below the maildir
}

func (s *session) reply(text string) {
	if text[0] == '5' {
		s.mistakes++
	}
	s.out.WriteString(text + "\r\n")
}

// ---- the maildir

func (s *session) forget() {
	if s.file != nil {
		s.file.Close()
		os.Remove(filepath.Join(maildir, s.path))
		s.file = nil
	}
}

func (s *session) open() error {
	now := time.Now()
	s.path = fmt.Sprintf("tmp/%d.M%06dP%dQ%d.%s", now.Unix(), now.Nanosecond()/1000, os.Getpid(),
		number.Add(1), hostname)
	file, err := os.OpenFile(filepath.Join(maildir, s.path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0600)
	if err != nil {
		return err
	}
	s.file, s.text = file, bufio.NewWriter(file)
	return nil
}

func (s *session) deliver() error {
	if err := s.text.Flush(); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	path := "new/" + strings.TrimPrefix(s.path, "tmp/")
	if err := os.Rename(filepath.Join(maildir, s.path), filepath.Join(maildir, path)); err != nil {
		return err
	}
	s.path = path
	folder, err := os.Open(filepath.Join(maildir, "new"))
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil {
		return err
	}
	s.file.Close()
	s.file = nil
	return nil
}

func (s *session) diskFailed(err error) {
	log.Printf("cannot store %s: %v", s.path, err)
	s.forget()
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		s.reply("452 4.3.1 no room; try later")
	} else {
		s.reply("451 4.3.0 try later")
	}
}

// ---- commands

// The size of the "<address>" that the text begins with, or 0.
func pathSize(text string) int {
	quoted := false
	for i := 1; text != "" && text[0] == '<' && i < len(text) && i < longestPath; i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
		case text[i] == '"':
			quoted = !quoted
		case quoted:
		case text[i] == '>':
			if i+1 == len(text) || text[i+1] == ' ' {
				return i + 1
			}
			return 0
		case text[i] == ' ' || text[i] == '<':
			return 0
		}
	}
	return 0
}

func checkParameters(text string) string {
	for _, word := range strings.Fields(text) {
		name, value, _ := strings.Cut(strings.ToUpper(word), "=")
		switch {
		case name == "SIZE":
			size, err := strconv.ParseUint(value, 10, 64)
			if err != nil && !errors.Is(err, strconv.ErrRange) {
				return "501 5.5.4 SIZE=BYTES"
			}
			if err != nil || size > maxSize {
				return "552 5.3.4 the message is too large"
			}
		case name == "BODY" && (value == "7BIT" || value == "8BITMIME"):
		default:
			return "555 5.5.4 unknown parameter"
		}
	}
	return ""
}

// What stands behind a prefix such as "FROM:", which may be in small letters.
func behind(text, prefix string) (string, bool) {
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return "", false
	}
	return strings.TrimLeft(text[len(prefix):], " "), true
}

func (s *session) meet(text string, extended bool) {
	if text == "" {
		s.reply("501 5.5.4 and who are you?")
		return
	}
	s.forget()
	s.name = text
	if !extended {
		s.reply("250 " + hostname)
		return
	}
	fmt.Fprintf(s.out, "250-%s\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n"+
		"250 SIZE %d\r\n", hostname, maxSize)
}

func (s *session) mail(text string) {
	rest, found := behind(text, "FROM:")
	size := pathSize(rest)
	switch {
	case s.name == "":
		s.reply("503 5.5.1 say EHLO first")
	case s.file != nil:
		s.reply("503 5.5.1 there is a sender already")
	case !found:
		s.reply("501 5.5.4 MAIL FROM:<address>")
	case size == 0:
		s.reply("501 5.1.7 MAIL FROM:<address>")
	default:
		if wrong := checkParameters(rest[size:]); wrong != "" {
			s.reply(wrong)
		} else if err := s.open(); err != nil {
			s.diskFailed(err)
		} else {
			s.sender, s.recipients = rest[:size], 0
			fmt.Fprintf(s.text, "Return-Path: %s\n", s.sender)
			s.reply("250 2.1.0 ok")
		}
	}
}

func (s *session) rcpt(text string) {
	rest, found := behind(text, "TO:")
	size := pathSize(rest)
	switch {
	case s.file == nil:
		s.reply("503 5.5.1 say MAIL first")
	case !found:
		s.reply("501 5.5.4 RCPT TO:<address>")
	case size <= len("<>"):
		s.reply("501 5.1.3 RCPT TO:<address>")
	case strings.Trim(rest[size:], " ") != "":
		s.reply("555 5.5.4 unknown parameter")
	case s.recipients == maxRecipients:
		s.reply("452 4.5.3 too many recipients")
	default:
		s.recipients++
		fmt.Fprintf(s.text, "Delivered-To: %s\n", rest[1:size-1])
		s.reply("250 2.1.5 ok")
	}
}

// ---- a message

// One line, and whether it ended with CR LF; one that is too long is skipped.
func (s *session) readLine() ([]byte, bool, error) {
	line, err := s.in.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return line, bytes.HasSuffix(line, []byte("\r\n")), err
	}
	last := byte(0)
	for err == bufio.ErrBufferFull {
		last = line[len(line)-1]
		line, err = s.in.ReadSlice('\n')
	}
	whole := string(line) == "\n" && last == '\r' || bytes.HasSuffix(line, []byte("\r\n"))
	if err == nil {
		err = errLong
	}
	return nil, whole, err
}

func (s *session) takeLine(line []byte, total *int) string {
	text := bytes.TrimSuffix(line, []byte("\r\n"))
	if len(text) == len(line) || bytes.IndexByte(text, '\r') >= 0 {
		return "550 5.6.0 lines end with CR LF, and nothing else does"
	}
	text = bytes.TrimPrefix(text, []byte("."))
	*total += len(text) + 2
	if *total > maxSize {
		return "552 5.3.4 the message is too large"
	}
	s.text.Write(text)
	s.text.WriteByte('\n')
	return ""
}

func (s *session) data(text string) error {
	if text != "" {
		s.reply("501 5.5.4 DATA stands alone")
		return nil
	}
	if s.file == nil || s.recipients == 0 {
		s.reply("503 5.5.1 say RCPT first")
		return nil
	}
	fmt.Fprintf(s.text, "Received: from %s\n (%v)\n by %s with SMTP; %s\n", s.name,
		s.conn.RemoteAddr(), hostname, time.Now().UTC().Format(time.RFC1123Z))
	s.reply("354 end with a dot")
	s.out.Flush()
	wrong, total, before := "", 0, true // before: the line before ended with CR LF
	for {
		s.conn.SetReadDeadline(time.Now().Add(patience))
		line, whole, err := s.readLine()
		if err == errLong {
			wrong = "550 5.6.0 a line is too long"
		} else if err != nil {
			return err
		} else if before && string(line) == ".\r\n" {
			break
		} else if wrong == "" {
			wrong = s.takeLine(line, &total)
		}
		before = whole
	}
	if wrong != "" {
		s.forget()
		s.reply(wrong)
	} else if err := s.deliver(); err != nil {
		s.diskFailed(err)
	} else {
		log.Printf("stored %s: %d bytes from %s, recipients: %d", s.path, total, s.sender,
			s.recipients)
		s.reply("250 2.0.0 stored")
	}
	return nil
}

// ---- a session

func (s *session) command(line []byte) error {
	text := strings.TrimRight(string(line), " \t\r\n")
	if len(text) >= longestCommand {
		s.reply("500 5.5.2 the line is too long")
		return nil
	}
	for _, one := range []byte(text) {
		if one < ' ' || one > '~' {
			s.reply("500 5.5.2 commands are plain ASCII")
			return nil
		}
	}
	verb, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimLeft(rest, " ")
	switch strings.ToUpper(verb) {
	case "EHLO":
		s.meet(rest, true)
	case "HELO":
		s.meet(rest, false)
	case "MAIL":
		s.mail(rest)
	case "RCPT":
		s.rcpt(rest)
	case "DATA":
		return s.data(rest)
	case "RSET":
		s.forget()
		s.reply("250 2.0.0 ok")
	case "NOOP":
		s.reply("250 2.0.0 ok")
	case "VRFY":
		if rest == "" {
			s.reply("501 5.5.4 VRFY address")
		} else {
			s.reply("252 2.1.5 send it and see")
		}
	case "QUIT":
		s.reply("221 2.0.0 goodbye")
		return io.EOF
	default:
		s.reply("500 5.5.1 unknown command")
	}
	return nil
}

// Waits for the next command, which a drain ends at once.
func (s *session) next() ([]byte, error) {
	if s.in.Buffered() == 0 {
		s.out.Flush()
	}
	s.conn.SetReadDeadline(time.Now().Add(patience))
	waiting.Store(s, true)
	if draining.Load() {
		s.conn.SetReadDeadline(time.Now())
	}
	_, err := s.in.Peek(1)
	waiting.Delete(s)
	if err != nil {
		return nil, err
	}
	s.conn.SetReadDeadline(time.Now().Add(patience))
	line, _, err := s.readLine()
	return line, err
}

func serve(conn net.Conn) {
	defer sessions.Done()
	defer conn.Close()
	s := &session{conn: conn, in: bufio.NewReaderSize(conn, longestLine),
		out: bufio.NewWriter(conn)}
	defer s.out.Flush()
	defer s.forget()
	s.reply("220 " + hostname + " ESMTP")
	for s.mistakes < mistakes {
		line, err := s.next()
		if err == errLong {
			s.reply("500 5.5.2 the line is too long")
			continue
		}
		if err == nil {
			err = s.command(line)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && draining.Load() {
			s.reply("421 4.3.2 the server is stopping; come back soon")
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			s.reply("421 4.4.2 too slow")
		}
		if err != nil {
			return
		}
	}
	s.reply("421 4.7.0 too many mistakes")
}

// Ends the waits of those who are between commands, and gives the others half a minute.
func stop() {
	draining.Store(true)
	waiting.Range(func(key, _ any) bool {
		key.(*session).conn.SetReadDeadline(time.Now())
		return true
	})
	time.AfterFunc(30*time.Second, func() { os.Exit(1) })
	sessions.Wait()
	os.Exit(0)
}

func main() {
	here := strings.SplitN(os.Args[1], ":", 2)
	maildir = os.Args[2]
	for _, part := range []string{"tmp", "cur", "new"} {
		if err := os.MkdirAll(filepath.Join(maildir, part), 0700); err != nil {
			log.Fatal(err)
		}
	}
	listener, err := net.Listen(here[0], here[1])
	if err != nil {
		log.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() { <-signals; listener.Close(); stop() }()
	for {
		conn, err := listener.Accept()
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		sessions.Add(1)
		go serve(conn)
	}
}
