package slalog

import (
	"bytes"
	"fmt"
	"regexp"
)

// byteOrderMark is what some editors and shells put before UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// foreignForms are those that are not read, by their first bytes.
var foreignForms = []struct{ magic, name, advice string }{
	{"PAR1", "Parquet", "query it and give the events as JSON"},
	{"\x28\xb5\x2f\xfd", "packed with zstd", unpack},
	{"PK\x03\x04", "a zip archive", unpack},
	{"BZh", "packed with bzip2", unpack},
	{"\xfd7zXZ\x00", "packed with xz", unpack},
	{"\xff\xfe", "text in UTF-16", convert},
	{"\xfe\xff", "text in UTF-16", convert},
}

const (
	unpack  = "unpack it, or pack it as gzip"
	convert = "convert it to UTF-8"
)

// foreign says what a file seems to be whose form is not read, and what to do; of
// any other it says nothing. It never says what the file holds.
func foreign(b []byte) string {
	const say = "it seems to be %s; %s (docs/sla-logs.md has the forms that are read)"
	for _, form := range foreignForms {
		if bytes.HasPrefix(b, []byte(form.magic)) {
			return fmt.Sprintf(say, form.name, form.advice)
		}
	}
	line, _, _ := bytes.Cut(bytes.TrimPrefix(b, byteOrderMark), newline)
	if len(line) <= maxHeader && header.Match(bytes.TrimSpace(line)) {
		return fmt.Sprintf(say, "CSV", "export the events as JSON")
	}
	return ""
}

// maxHeader is how long the line may be that names the columns.
const maxHeader = 8 << 10

// header matches the names of columns: those of a table in Athena, the fields of a
// query in Logs Insights, or the headings of the console.
var header = regexp.MustCompile(`^(?:"?@[a-zA-Z]+"?|(?:"?[@a-zA-Z][a-zA-Z0-9_@. -]*"?[,;\t])+"?[@a-zA-Z][a-zA-Z0-9_@. -]*"?)$`)
