package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The same account gives the same bytes, from two processes in two directories,
// in whatever order AWS answers: 100 seeded shuffles of keys, tags, aliases and
// page sizes.
func TestTemplatesAreByteIdentical(t *testing.T) {
	app := binary(t, "shuffler", "./test/e2e/shuffler")
	config, err := filepath.Abs("../../examples/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dirs := []string{t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")}
	if err := os.Mkdir(dirs[1], 0o700); err != nil {
		t.Fatal(err)
	}
	seeds := [][2]string{{"1", "50"}, {"51", "100"}}
	failed := make(chan error, len(dirs))
	for i, dir := range dirs {
		go func() {
			cmd := exec.CommandContext(t.Context(), app, dir, seeds[i][0], seeds[i][1])
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "KEYWATCH_CONFIG="+config, "CDK_VALIDATION=false", fmt.Sprintf("TZ=Etc/GMT+%d", i), fmt.Sprintf("HOME=%s", dir))
			out, err := cmd.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("seeds %v: %w\n%s", seeds[i], err, out)
			}
			failed <- err
		}()
	}
	for range dirs {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	var first map[string]string
	count := 0
	for _, dir := range dirs {
		assemblies, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range assemblies {
			if !a.IsDir() || a.Name()[0] == '.' {
				continue
			}
			got := hashes(t, filepath.Join(dir, a.Name()))
			count++
			if first == nil {
				first = got
				if len(first) < 3 { // two templates and the manifest
					t.Fatalf("the assembly has only the files %v", first)
				}
			}
			for name, sum := range first {
				if got[name] != sum {
					t.Errorf("%s of seed %s differs from that of the first", name, a.Name())
				}
			}
			if len(got) != len(first) {
				t.Errorf("seed %s has %d files, the first %d", a.Name(), len(got), len(first))
			}
		}
	}
	if count != 100 {
		t.Errorf("%d assemblies compared, want 100", count)
	}
}

func hashes(t *testing.T, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		sums[name] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}
