// Package wall keeps the rooms of the house apart: pure Go decides, jsii draws,
// and only constructs/spec crosses. It asks `go list` what each package really
// depends on.
package wall

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What lies on the other side.
var (
	jsii   = []string{"github.com/aws/jsii-runtime-go", "github.com/aws/aws-cdk-go", "github.com/aws/constructs-go"}
	awsSDK = []string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"}
)

// room is one package and the packages of the house that it may know;
// docs/adr/0001-the-wall.md says why.
type room struct {
	may  []string
	jsii bool // may draw
	sdk  bool // may call AWS
}

var rooms = map[string]room{
	"constructs/spec":    {},
	"internal/diag":      {},
	"internal/inventory": {may: []string{"constructs/spec"}},
	"internal/packed":    {},
	"internal/progress":  {},
	"internal/sla":       {},
	"internal/evidence":  {may: []string{"internal/sla"}},
	"internal/slalog":    {may: []string{"internal/sla"}},
	"internal/naming":    {may: []string{"constructs/spec"}},
	"config":             {may: []string{"constructs/spec", "internal/diag"}},
	"internal/rules":     {may: []string{"config", "constructs/spec", "internal/inventory"}},
	"internal/plan":      {may: []string{"config", "constructs/spec", "internal/diag", "internal/inventory", "internal/naming", "internal/rules", "internal/sla"}},
	"internal/places":    {may: []string{"internal/diag", "internal/naming", "internal/plan"}},
	"internal/snapshot":  {may: []string{"constructs/spec", "internal/diag", "internal/inventory", "internal/plan"}},
	"internal/coverage":  {may: []string{"config", "constructs/spec", "internal/inventory", "internal/plan", "internal/rules"}},
	"internal/report":    {may: []string{"config", "constructs/spec", "internal/coverage", "internal/diag", "internal/inventory", "internal/plan", "internal/rules"}},
	"internal/starter":   {may: []string{"config", "internal/inventory", "internal/plan", "internal/rules"}},
	"internal/cli":       {may: []string{"config", "constructs/spec", "internal/coverage", "internal/diag", "internal/evidence", "internal/inventory", "internal/naming", "internal/places", "internal/plan", "internal/progress", "internal/report", "internal/rules", "internal/sla", "internal/slalog", "internal/snapshot", "internal/starter"}},
	"internal/live":      {may: []string{"constructs/spec", "internal/evidence", "internal/inventory", "internal/places", "internal/progress", "internal/sla"}, sdk: true},
	"constructs":         {may: []string{"constructs/spec", "internal/naming", "internal/sla"}, jsii: true},
	"test/oracle":        {},
	"test/schema":        {},
	"stacks":             {may: []string{"constructs", "constructs/spec"}, jsii: true},
	".":                  {may: []string{"constructs/spec", "internal/cli", "internal/live", "internal/packed", "stacks"}, jsii: true, sdk: true},
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

func TestEveryPackageIsARoom(t *testing.T) {
	t.Parallel()
	for _, p := range goList(t, "./...") {
		name := strings.TrimPrefix(strings.TrimPrefix(p, "keywatch"), "/")
		if name == "" {
			name = "."
		}
		if _, known := rooms[name]; !known && !strings.HasPrefix(name, "test/") {
			t.Errorf("package %s is in no table: say in rooms what it may import", name)
		}
	}
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	t.Parallel()
	for name, r := range rooms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, p := range goList(t, "-f", `{{join .Imports "\n"}}`, "./"+name) {
				if house, ours := strings.CutPrefix(p, "keywatch/"); ours && !slices.Contains(r.may, house) {
					t.Errorf("%s imports %s; allowed: %v", name, house, r.may)
				}
			}
		})
	}
}

func TestNothingReachesThroughTheWall(t *testing.T) {
	t.Parallel()
	for name, r := range rooms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, p := range goList(t, "-deps", "./"+name) {
				under := func(roots []string) bool {
					return slices.ContainsFunc(roots, func(root string) bool { return p == root || strings.HasPrefix(p, root+"/") })
				}
				if !r.jsii && under(jsii) {
					t.Errorf("%s depends on %s: this side of the wall draws nothing", name, p)
				}
				if !r.sdk && under(awsSDK) {
					t.Errorf("%s depends on %s: only internal/live calls AWS", name, p)
				}
				if name == "constructs/spec" && strings.Contains(strings.SplitN(p, "/", 2)[0], ".") {
					t.Errorf("constructs/spec depends on %s: it has the standard library alone", p)
				}
			}
		})
	}
}

// Time, environment and randomness come in by parameter: outside of main, only
// the two rooms at the edge look at the world, and none at the clock.
func TestTheWorldComesInByParameter(t *testing.T) {
	t.Parallel()
	edge := map[string][]string{
		"stacks":        {"os.Getenv", "time.Now"}, // finds Node; bounds the wait for jsii's end
		"internal/live": {"rand.N"},                // jitter
	}
	watched := []string{"time.Now", "time.Since", "os.Getenv", "os.LookupEnv", "os.Environ"}
	for name := range rooms {
		if name == "." {
			continue
		}
		dir := filepath.Join("..", "..", name)
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no Go files (%v)", dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, use := range uses(t, file) {
				random := strings.HasPrefix(use, "rand.")
				if (slices.Contains(watched, use) || random) && !slices.Contains(edge[name], use) {
					t.Errorf("%s uses %s; pass it in", file, use)
				}
			}
		}
	}
}

// uses lists what a file takes from packages, as "package.Name".
func uses(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok {
				out = append(out, x.Name+"."+s.Sel.Name)
			}
		}
		return true
	})
	return out
}

// Each package says what it is for, and where to start reading.
func TestEveryRoomHasAPackageComment(t *testing.T) {
	t.Parallel()
	for name := range rooms {
		dir := filepath.Join("..", "..", name)
		doc := ""
		files, err := fs.Glob(os.DirFS(dir), "*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, file), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil && !strings.HasSuffix(file, "_test.go") {
				doc += f.Doc.Text()
			}
		}
		if !strings.Contains(strings.ToLower(strings.Join(strings.Fields(doc), " ")), "start reading") && !strings.Contains(doc, "place to start") {
			t.Errorf("the package comment of %s does not say where to start reading:\n%s", name, doc)
		}
	}
}
