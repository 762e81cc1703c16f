package cli

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// frozenFiles makes the organisation write to memory; a path in full refuses.
func frozenFiles(o *organisation, full string) map[string]string {
	files := map[string]string{}
	o.WriteFile = func(path string, data []byte) error {
		if path == full {
			return errors.New("no space left on device")
		}
		files[path] = string(data)
		return nil
	}
	read := o.ReadFile
	o.ReadFile = func(path string) ([]byte, error) {
		if text, there := files[path]; there {
			return []byte(text), nil
		}
		return read(path)
	}
	return files
}

const intoFolders = "s/{account}/{region}.json"

var threeFiles = []string{"s/111122223333/cn-north-1.json", "s/111122223333/eu-west-1.json", "s/444455556666/us-east-1.json"}

// Every environment is read before the first file is written.
func TestSnapshotsOfSeveralEnvironmentsAreAllOrNothing(t *testing.T) {
	t.Parallel()
	o := newOrganisation()
	files := frozenFiles(o, "")
	o.failing["cn-north-1"] = errors.New("list keys in cn-north-1: expired") // the last
	if status := o.Run(t.Context(), []string{"snapshot", "-o", intoFolders}); status != ExitEnvironment || len(files) > 0 {
		t.Errorf("status %d, written %v\n%s", status, slices.Collect(maps.Keys(files)), o.stderr.String())
	}
	if o.stdout.Len() > 0 || !strings.Contains(o.stderr.String(), "1 of 3 environments could not be read") {
		t.Errorf("%s%s", o.stdout.String(), o.stderr.String())
	}

	delete(o.failing, "cn-north-1")
	if status := o.Run(t.Context(), []string{"snapshot", "-o", intoFolders}); status != ExitOK || !slices.Equal(slices.Sorted(maps.Keys(files)), threeFiles) {
		t.Errorf("status %d, written %v\n%s", status, slices.Collect(maps.Keys(files)), o.stderr.String())
	}
	o.stderr.Reset()
	if status := o.Run(t.Context(), []string{"snapshot", "--check", "-o", intoFolders}); status != ExitOK || strings.Count(o.stderr.String(), "is what is there now") != 3 {
		t.Errorf("status %d\n%s", status, o.stderr.String())
	}
	// Each file that is behind is named, not the first alone.
	delete(files, threeFiles[0])
	delete(files, threeFiles[2])
	o.stderr.Reset()
	if status := o.Run(t.Context(), []string{"snapshot", "--check", "-o", intoFolders}); status != ExitProblems || strings.Count(o.stderr.String(), ": there is no such file; `keywatch snapshot -o s/{account}/{region}.json` writes it\n") != 2 {
		t.Errorf("status %d\n%s", status, o.stderr.String())
	}
}

func TestAFileThatCannotBeWrittenSaysWhichWere(t *testing.T) {
	t.Parallel()
	o := newOrganisation()
	files := frozenFiles(o, "s/444455556666/us-east-1.json") // the second
	status := o.Run(t.Context(), []string{"snapshot", "-o", intoFolders})
	const want = "keywatch: error: write the snapshot: no space left on device; files that were written: s/111122223333/eu-west-1.json; that are as before: s/444455556666/us-east-1.json, s/111122223333/cn-north-1.json\n"
	if status != ExitEnvironment || len(files) != 1 || !strings.HasSuffix(o.stderr.String(), want) {
		t.Errorf("status %d, %d files\n%s\nwant %s", status, len(files), o.stderr.String(), want)
	}
}

func TestOneFileIsNotForSeveralEnvironments(t *testing.T) {
	t.Parallel()
	for _, output := range []string{"one.json", "{region}.json", "{account}.json", "-"} {
		o := newOrganisation()
		status := o.Run(t.Context(), []string{"snapshot", "-o", output})
		if want := "--output " + output + " is one file for 3 environments; write {account} and {region} into it"; status != ExitUsage || !strings.Contains(o.stderr.String(), want) || len(o.opened) > 0 {
			t.Errorf("%s: status %d, opened %v\n%s", output, status, o.opened, o.stderr.String())
		}
	}
	o := newOrganisation()
	if status := o.Run(t.Context(), []string{"snapshot"}); status != ExitUsage || len(o.opened) > 0 {
		t.Errorf("without a file: status %d, opened %v\n%s", status, o.opened, o.stderr.String())
	}
}

// What no snapshot can take the place of is refused before anything is read.
func TestAFileThatCannotBeReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	slash := filepath.Join(dir, "new") + "/"
	for path, want := range map[string]string{
		slash:      " is " + slash + ", which names a directory; name a file in it",
		dir:        " is " + dir + ", which is a directory; name a file in it",
		os.DevNull: " is " + os.DevNull + ", which is a device and no regular file: it cannot be replaced in one step; name a file, or write to the standard output with -o -",
	} {
		for _, args := range [][]string{{"snapshot"}, {"snapshot", "--place"}, {"init", "--force"}, {"init"}} {
			o := newOrganisation()
			files := frozenFiles(o, "")
			args = append(args, "-o", path, "-c", "keywatch:env=444455556666/us-east-1")
			if status := o.Run(t.Context(), args); status != ExitUsage || !strings.HasPrefix(o.stderr.String(), "keywatch: error: --output"+want+"\n") || len(o.opened)+len(files) > 0 {
				t.Errorf("%v: status %d, opened %v\n%s", args, status, o.opened, o.stderr.String())
			}
		}
		o := newOrganisation()
		o.config = strings.Replace(o.config, "rules:", "inventory: {source: snapshot, path: "+path+"}\nrules:", 1)
		o.config = strings.Replace(o.config, `  - {account: "111122223333", region: eu-west-1, role: cdk-lookup}`+"\n", "", 1)
		o.config = strings.Replace(o.config, `  - {account: "111122223333", region: cn-north-1, role: cdk-lookup}`+"\n", "", 1)
		if status := o.Run(t.Context(), []string{"snapshot"}); status != ExitProblems || !strings.HasPrefix(o.stderr.String(), "keywatch.yaml:4:37: inventory.path"+want+" [snapshot-path]\n") || len(o.opened) > 0 {
			t.Errorf("%s in the config: status %d, opened %v\n%s", path, status, o.opened, o.stderr.String())
		}
	}
	if _, err := os.Stat(slash); err == nil {
		t.Errorf("%s was made", slash)
	}
}

// Whoever reads only the last line knows what became of the file.
func TestASnapshotThatALimitStopsSaysThatNothingWasWritten(t *testing.T) {
	t.Parallel()
	o := newOrganisation()
	files := frozenFiles(o, "")
	status := o.Run(t.Context(), []string{"snapshot", "-o", "one.json", "-c", "keywatch:env=444455556666/us-east-1", "-c", "keywatch:limits.alarms=0"})
	if status != ExitProblems || len(files) > 0 || !strings.Contains(o.stderr.String(), "[limit-alarms]") || !strings.HasSuffix(o.stderr.String(), "keywatch: error: 1 problem; nothing was written\n") {
		t.Errorf("status %d, files %v\n%s", status, files, o.stderr.String())
	}
}

// What a link points at is replaced, be it there or not; the link stays.
func TestALinkIsWrittenThrough(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	for _, err := range []error{
		os.MkdirAll(in("real", "deep"), 0o700),
		os.WriteFile(in("real", "a.json"), []byte("old"), 0o640),
		os.Symlink(filepath.Join("real", "deep"), in("folder")),
		os.Symlink(filepath.Join("..", "a.json"), in("real", "deep", "up.json")), // not dir/a.json, though folder is in dir
		os.Symlink(filepath.Join("real", "a.json"), in("a.json")),
		os.Symlink(in("a.json"), in("twice.json")),
		os.Symlink(filepath.Join("real", "new.json"), in("dangling.json")),
		os.Symlink("round.json", in("round.json")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for link, file := range map[string]string{"a.json": "a.json", "twice.json": "a.json", "dangling.json": "new.json", "folder/up.json": "a.json"} {
		if err := replaceFile(in(filepath.FromSlash(link)), []byte(link)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(in("real", file))
		if _, linked := os.Readlink(in(filepath.FromSlash(link))); err != nil || string(got) != link || linked != nil {
			t.Errorf("%s: %q, %v, %v", link, got, err, linked)
		}
	}
	if info, err := os.Stat(in("real", "a.json")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	if err := replaceFile(in("round.json"), nil); err == nil || !strings.Contains(err.Error(), "more than 40 symbolic links") {
		t.Errorf("a link to itself: %v", err)
	}
}
