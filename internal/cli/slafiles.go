package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"keywatch/internal/sla"
	"keywatch/internal/slalog"
)

// keptFile is one that keywatch sla collect has made.
type keptFile struct {
	path, account, region string
	month                 sla.Month
}

// keptFiles are the files DIR/ACCOUNT/REGION/MONTH.jsonl; others are not ours.
func keptFiles(dir string) ([]keptFile, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(globbed(dir), "*", "*", "*.jsonl"))
	if err != nil {
		return nil, err
	}
	var out []keptFile
	for _, path := range paths {
		f := keptFile{path: path, region: filepath.Base(filepath.Dir(path)), account: filepath.Base(filepath.Dir(filepath.Dir(path)))}
		f.month, err = sla.ParseMonth(strings.TrimSuffix(filepath.Base(path), ".jsonl"))
		if err == nil && accountForm.MatchString(f.account) && regionForm.MatchString(f.region) {
			out = append(out, f)
		}
	}
	return out, nil
}

// globbed is a directory as a pattern that matches it alone.
func globbed(dir string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(dir)
}

// readLogs reads every file, sorted by name: what a report shows does not depend
// on the order of the flags.
func readLogs(ctx context.Context, j *judging, labels map[string]string, r *slalog.Reader) error {
	for _, kind := range []struct {
		paths []string
		read  func(string, io.Reader) error
		skip  bool
	}{{j.cloudTrail, r.CloudTrail, true}, {j.requests, r.Requests, false}} {
		files, err := logFiles(kind.paths, labels)
		if err != nil {
			return err
		}
		for _, file := range files {
			why := file.leftOut
			if kind.skip {
				why = cmp.Or(why, slalog.Skip(file.path, j.place()))
			}
			if why != "" {
				r.LeaveOut(file.name, why)
				continue
			}
			if file.lost != "" {
				r.Lose(file.name, file.lost)
				continue
			}
			f, err := openUntilDone(ctx, file.path)
			if err != nil {
				return err
			}
			stop := context.AfterFunc(ctx, func() { f.Close() }) // a pipe may say nothing for ever
			err = kind.read(file.name, untilDone{ctx, f})
			stop()
			if err := cmp.Or(ctx.Err(), err, f.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// openUntilDone opens a file: that of a pipe takes until somebody writes there.
func openUntilDone(ctx context.Context, path string) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	c := make(chan opened, 1)
	go func() {
		f, err := os.Open(path)
		c <- opened{f, err}
	}()
	select {
	case o := <-c:
		return o.f, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// untilDone reads until somebody interrupts: a log may take minutes.
type untilDone struct {
	ctx context.Context
	in  io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.in.Read(p)
}

// logFile is one to be read.
type logFile struct {
	path string // absolute
	// leftOut says why it is not read, lost why it cannot be, though it may be a log.
	leftOut, lost string
	// name is how a report and a claim call it: as little of the path as tells the
	// files apart. Where they lie on somebody's disk is nobody's business at AWS, and the
	// same logs make the same claim from wherever they are read.
	name string
}

// labelled calls each of the paths that are named, when absolute, by its last elements.
func labelled(named ...[]string) (map[string]string, error) {
	roots, err := absolute(slices.Concat(named...))
	if err != nil {
		return nil, err
	}
	labels := map[string]string{}
	for i, label := range lastElements(roots) {
		labels[roots[i]] = filepath.ToSlash(label)
	}
	return labels, nil
}

// absolute are paths as such, sorted, each once; one that is empty names nothing.
func absolute(named []string) ([]string, error) {
	var out []string
	for _, p := range named {
		if p == "" {
			continue
		}
		path, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		out = append(out, path)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// logFiles are the files that are named or lie in a folder that is, each once. Links to
// files are followed, and a link that is named itself; what else is no regular file is
// read only if it is named, such as a pipe.
func logFiles(named []string, labels map[string]string) ([]logFile, error) {
	roots, err := absolute(named)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	var files []logFile
	for _, root := range roots {
		walked := root
		if info, err := os.Stat(root); err == nil && info.IsDir() {
			if walked, err = filepath.EvalSymlinks(root); err != nil {
				return nil, err
			}
		}
		err := filepath.WalkDir(walked, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			f := logFile{path: path, name: labels[root] + filepath.ToSlash(strings.TrimPrefix(path, walked))}
			if path != walked {
				f.leftOut, f.lost = irregular(path, d)
			}
			// A folder comes before what is named within, so it gives the name.
			if !known[path] {
				known[path] = true
				files = append(files, f)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(files, func(a, b logFile) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.path, b.path)) })
	return files, nil
}

// irregular says why something in a folder is no file to be read, or one that is lost.
func irregular(path string, d fs.DirEntry) (leftOut, lost string) {
	if d.Type().IsRegular() {
		return "", ""
	}
	link := d.Type()&fs.ModeSymlink != 0
	switch info, err := os.Stat(path); {
	case err != nil:
		return "", "it is a link that leads nowhere"
	case link && info.IsDir():
		return "", "it is a link to a folder, and such are not followed; name the folder itself"
	case !info.Mode().IsRegular():
		return "no regular file; a pipe is read if it is named itself", ""
	}
	return "", ""
}

// apart refuses a folder for the claim among the logs, by whatever links they are named:
// the next run would take it for one.
func (j *judging) apart() error {
	if !j.claim {
		return nil
	}
	folder, err := unlinked(j.folder())
	if err != nil {
		return err
	}
	for _, named := range slices.Concat(j.cloudTrail, j.requests) {
		root, err := unlinked(named)
		if err != nil {
			return err
		}
		if within, err := filepath.Rel(root, folder); err == nil && filepath.IsLocal(within) {
			return fmt.Errorf("the claim would be written to %s, which lies in %s among the logs; name another folder with -o", j.folder(), named)
		}
	}
	return nil
}

// unlinked is an absolute path without the links in as much of it as is there.
func unlinked(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for there := path; ; there = filepath.Dir(there) {
		if real, err := filepath.EvalSymlinks(there); err == nil {
			return filepath.Join(real, strings.TrimPrefix(path, there)), nil
		} else if there == filepath.Dir(there) {
			return path, nil
		}
	}
}

// folder is where a claim is written, without a slash at its end, which would follow a
// link.
func (j *judging) folder() string {
	return filepath.Clean(cmp.Or(j.output, fmt.Sprintf("sla-claim-%s-%s-%s", j.account, j.region, j.month)))
}

// lastElements are the last elements of absolute paths, as few as tell them apart.
func lastElements(paths []string) []string {
	labels := make([]string, len(paths))
	for n := 1; ; n++ {
		known := map[string]bool{}
		for i, p := range paths {
			elements := strings.Split(p, string(filepath.Separator))
			labels[i] = strings.Join(elements[max(0, len(elements)-n):], string(filepath.Separator))
			known[labels[i]] = true
		}
		if len(known) == len(paths) {
			return labels
		}
	}
}
