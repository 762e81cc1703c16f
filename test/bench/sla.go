package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"keywatch/internal/sla"
	"keywatch/internal/slalog"
)

// The sub-command, and what makes this program be the reader of logs: a process
// of its own, as jq is one.
const (
	slaCommand         = "sla"
	logsArgument       = "read-logs"
	floodArgument      = "read-a-flood"
	recordsPerFile     = 5000
	slaAccount         = "111122223333"
	slaRegion          = "eu-west-1"
	targetOverJQ       = 10
	targetGrowth       = 1.25 // of the memory, for ten times the log
	bytesOfOneRecord   = 1300 // about
	smallFlood, growth = 1_000_000, 10
)

var slaMonth = sla.Month{Year: 2026, Month: time.October}

// jqFilter does the same: the KMS calls of one account and region, with the
// fields that are needed to count them.
const jqFilter = `.Records[] | select(.eventSource == "kms.amazonaws.com" and .awsRegion == "eu-west-1" and .recipientAccountId == "111122223333" and .eventType == "AwsApiCall") | [.eventTime, .requestID, .errorCode]`

// slaBench measures the reading of CloudTrail logs beside zcat and jq.
func slaBench(ctx context.Context, args []string, out, progress io.Writer) error {
	f := flag.NewFlagSet("bench sla", flag.ContinueOnError)
	files := f.Int("files", 40, "files of 5,000 records, 6.5 MB each when unpacked")
	runs := f.Int("n", 3, "how often each side runs; the median counts")
	flood := f.Int("flood", smallFlood*growth, "records of the long log; 0 leaves it out")
	if err := f.Parse(args); err != nil {
		return err
	}
	for _, tool := range []string{"zcat", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is missing; on Debian: apt-get install gzip jq", tool)
		}
	}
	fmt.Fprintln(out, machine())
	dir, err := os.MkdirTemp("", "keywatch-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(progress, "writing %d files of %d records\n", *files, recordsPerFile)
	var packed, plain []string
	size, calls := int64(0), 0
	for i := range *files {
		name := filepath.Join(dir, fmt.Sprintf("%s_CloudTrail_%s_%05d.json", slaAccount, slaRegion, i))
		n, of, err := writeLog(name, i)
		if err != nil {
			return err
		}
		size, calls = size+n, calls+of
		plain, packed = append(plain, name), append(packed, name+".gz")
	}
	if err := compareReaders(ctx, *runs, packed, plain, size, calls, out, progress); err != nil {
		return err
	}
	if *flood == 0 {
		return nil
	}
	return floodBench(ctx, *flood, out, progress)
}

// compareReaders runs each side on the same files, in turns.
func compareReaders(ctx context.Context, runs int, packed, plain []string, size int64, calls int, out, progress io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	sides := []struct {
		name string
		cmd  func() *exec.Cmd
	}{
		{"keywatch, gzip", func() *exec.Cmd { return exec.CommandContext(ctx, self, append([]string{logsArgument}, packed...)...) }},
		{"zcat | jq", func() *exec.Cmd {
			return exec.CommandContext(ctx, "sh", append([]string{"-c", `zcat "$@" | jq -c '` + jqFilter + `' | wc -l`, "sh"}, packed...)...)
		}},
		{"keywatch, plain", func() *exec.Cmd { return exec.CommandContext(ctx, self, append([]string{logsArgument}, plain...)...) }},
		{"cat | jq", func() *exec.Cmd {
			return exec.CommandContext(ctx, "sh", append([]string{"-c", `cat "$@" | jq -c '` + jqFilter + `' | wc -l`, "sh"}, plain...)...)
		}},
	}
	var all []measurement
	for range runs {
		for _, side := range sides {
			fmt.Fprintln(progress, side.name)
			// What comes out goes through a file: measure takes the streams.
			answer := filepath.Join(filepath.Dir(plain[0]), "answer")
			cmd := exec.CommandContext(ctx, "sh", "-c", `"$@" > "$ANSWER"`, "sh")
			inner := side.cmd()
			cmd.Args = append(cmd.Args, inner.Args...)
			cmd.Env = append(os.Environ(), "ANSWER="+answer)
			m, err := measure(side.name, cmd)
			if err != nil {
				return err
			}
			data, err := os.ReadFile(answer)
			if err != nil {
				return err
			}
			if got, err := strconv.Atoi(strings.TrimSpace(string(data))); err != nil || got != calls {
				return fmt.Errorf("%s counted %q requests, the log has %d", side.name, data, calls)
			}
			all = append(all, m)
		}
	}
	fmt.Fprintf(out, "\nCloudTrail logs, %s unpacked, %d requests to KMS; medians of %d. All sides counted the same.\n", megabytes(size), calls, runs)
	t := newTable(out, "side", "wall", "CPU", "MB/s of one core", "largest process")
	speed := map[string]float64{}
	for _, side := range sides {
		m := middle(all, side.name)
		speed[side.name] = float64(size) / 1e6 / m.cpu.Seconds()
		t.AppendRow(table.Row{side.name, seconds(m.wall), seconds(m.cpu), fmt.Sprintf("%.0f", speed[side.name]), megabytes(m.largest)})
	}
	t.Render()
	for i := 0; i < len(sides); i += 2 {
		times := speed[sides[i].name] / speed[sides[i+1].name]
		fmt.Fprintf(out, "%s is %.0f times %s; the target is %d: %s.\n", sides[i].name, times, sides[i+1].name, targetOverJQ, verdict(times < targetOverJQ))
	}
	return nil
}

// floodBench reads a log that no disk need hold, and a tenth of it: the memory
// is to be the same.
func floodBench(ctx context.Context, records int, out, progress io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	t := newTable(out, "records", "wall", "CPU", "largest process")
	var peaks []int64
	for _, n := range []int{records / growth, records} {
		fmt.Fprintf(progress, "a log of %d records\n", n)
		m, err := measure("flood", exec.CommandContext(ctx, self, floodArgument, strconv.Itoa(n)))
		if err != nil {
			return err
		}
		peaks = append(peaks, m.largest)
		t.AppendRow(table.Row{n, seconds(m.wall), seconds(m.cpu), megabytes(m.largest)})
	}
	fmt.Fprintf(out, "\nOne log, made while it is read (%d bytes a record), every request another.\n", bytesOfOneRecord)
	t.Render()
	times := float64(peaks[1]) / float64(peaks[0])
	fmt.Fprintf(out, "%d times the log takes %.2f times the memory; the target is %.2f: %s.\n", growth, times, targetGrowth, verdict(times > targetGrowth))
	return nil
}

// readLogs is the side of keywatch: it prints how many requests it counted.
func readLogs(args []string, out io.Writer) error {
	dir, err := os.MkdirTemp("", "keywatch-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	terms, err := sla.TermsOf(slaMonth)
	if err != nil {
		return err
	}
	r := slalog.NewReader(slalog.Options{Only: slalog.Place{Account: slaAccount, Region: slaRegion}, Month: slaMonth, Classes: terms.Classes(), Dir: dir})
	want := int64(-1)
	if args[0] == floodArgument {
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		want = int64(n)
		if err := r.CloudTrail("flood", &flood{n: n}); err != nil {
			return err
		}
	} else {
		for _, name := range args[1:] {
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			if err := errors.Join(r.CloudTrail(name, f), f.Close()); err != nil {
				return err
			}
		}
	}
	all, err := r.Finish(context.Background())
	if err != nil {
		return err
	}
	if len(all) != 1 {
		return fmt.Errorf("%d accounts and regions, want 1", len(all))
	}
	in := all[0]
	total := int64(0)
	for _, iv := range in.Intervals {
		total += iv.Requests
	}
	if i := slices.IndexFunc(in.Files, func(f sla.File) bool { return f.Damage != "" }); i >= 0 || in.Malformed.Count > 0 || want >= 0 && total != want {
		return fmt.Errorf("%d requests, %+v, damaged file %d", total, in.Malformed, i)
	}
	_, err = fmt.Fprintln(out, total)
	return err
}

// writeLog writes one file of a trail, plain and packed, and says how long it is
// and how many requests to KMS of the account it has.
func writeLog(name string, file int) (size int64, calls int, err error) {
	f, err := os.Create(name)
	if err != nil {
		return 0, 0, err
	}
	p, err := os.Create(name + ".gz")
	if err != nil {
		return 0, 0, err
	}
	zip := gzip.NewWriter(p)
	w := bufio.NewWriter(io.MultiWriter(f, zip))
	n, _ := w.WriteString(`{"Records":[`)
	size = int64(n)
	for i := range recordsPerFile {
		if i > 0 {
			n, _ = w.WriteString(",")
			size += int64(n)
		}
		ours := i%3 != 0
		if ours {
			calls++
		}
		n, _ = w.Write(trailRecord(nil, file*recordsPerFile+i, ours))
		size += int64(n)
	}
	n, _ = w.WriteString("]}")
	return size + int64(n), calls, errors.Join(w.Flush(), zip.Close(), f.Close(), p.Close())
}

// trailRecord is a record as CloudTrail writes it: of KMS, or of S3.
func trailRecord(to []byte, i int, ours bool) []byte {
	source, name, kind := "kms.amazonaws.com", "Decrypt", "AWS::KMS::Key"
	if !ours {
		source, name, kind = "s3.amazonaws.com", "GetBucketAcl", "AWS::S3::Bucket"
	}
	code := ""
	if i%5000 == 1 {
		code = `"errorCode":"KMSInternalException","errorMessage":"An internal error",`
	}
	mixed := uint32(i) * 2654435761
	return fmt.Appendf(to, `{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","principalId":"AROAEXAMPLE%08X:app","arn":"arn:aws:sts::111122223333:assumed-role/app/i-%08x","accountId":"111122223333","accessKeyId":"ASIAEXAMPLE%08X","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLE","arn":"arn:aws:iam::111122223333:role/app","accountId":"111122223333","userName":"app"},"attributes":{"creationDate":"2026-10-01T00:00:00Z","mfaAuthenticated":"false"}}},"eventTime":"%s","eventSource":"%s","eventName":"%s","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.%d","userAgent":"aws-sdk-go-v2/1.47.7",%s"requestParameters":{"encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{"aws:s3:arn":"arn:aws:s3:::data/%08x"}},"responseElements":null,"requestID":"%08x-5b28-4a98-9b91-53da%08x","eventID":"%08x-ba1a-467c-b4ba-f729d45ae521","readOnly":true,"resources":[{"accountId":"111122223333","type":"%s","ARN":"arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-%012x"}],"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_256_GCM_SHA384","clientProvidedHostHeader":"kms.eu-west-1.amazonaws.com"}}`,
		mixed, mixed, mixed, slaMonth.Start().Add(time.Duration(i%2_600_000)*time.Second).Format("2006-01-02T15:04:05Z"), source, name, i%250, code, mixed, mixed, i, mixed, kind, i%1000)
}

// flood is a log in lines, made while it is read.
type flood struct {
	n, at int
	left  []byte
	buf   []byte
}

func (f *flood) Read(p []byte) (int, error) {
	if len(f.left) == 0 {
		if f.at == f.n {
			return 0, io.EOF
		}
		f.buf = append(trailRecord(f.buf[:0], f.at, true), '\n')
		f.left = f.buf
		f.at++
	}
	n := copy(p, f.left)
	f.left = f.left[n:]
	return n, nil
}
