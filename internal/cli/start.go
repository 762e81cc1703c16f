package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"keywatch/config"
	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/snapshot"
	"keywatch/internal/starter"
)

func (w *World) schemaCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "the JSON Schema of the config, for editors",
		Long: `Print the JSON Schema of the config. An editor with a YAML language server
completes and checks a config by it, if the file begins with

  # yaml-language-server: $schema=PATH

where PATH is that of the schema: a copy of what this prints, or the file
docs/schema/config.schema.json of the repository. A schema sees one value at a
time; keywatch validate sees all of them together.`,
		Example: "  keywatch schema > keywatch.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkOnlyJSON(format); err != nil {
				return err
			}
			_, err := w.Stdout.Write(config.Schema())
			return output(err)
		},
	}
	onlyJSONFlag(cmd, &format)
	return cmd
}

// starting is one run of the verb init.
type starting struct {
	output, from string
	force        bool
}

func (w *World) initCommand(o *options) *cobra.Command {
	var s starting
	var format string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "write a first config for the account",
		Long: `Read the keys of the account, or a snapshot, and write a commented config: which
tags the keys carry, rules by the tag that says most, and for each rule the alarms
that it makes and their price. It needs no config. If there is one that takes its
keys from a snapshot, so does init.

Rules go by a tag that is on half of the keys at least. Nothing is overwritten
without --force. The file holds no secret, but tags and their values. With --format
json all of this is printed as data too; with -o - it is not written to a file.`,
		Example: "  keywatch init\n  keywatch init -o - --from snapshots/111122223333-eu-west-1.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if cmd.Flags().Changed("from") && s.from == "" {
				return errors.New("--from names no snapshot; give its path, or leave --from out to read the account")
			}
			o.json = format == "json"
			if err := w.overwrites(s); err != nil {
				return err
			}
			inv, err := w.whole(cmd.Context(), o, s)
			if err != nil {
				return err
			}
			first, err := starter.Config(inv, w.schemaFor(s.output))
			if err != nil {
				return environment(err)
			}
			if s.output == toStdout {
				if format == "json" {
					return w.printJSON(startOf(first, inv, ""))
				}
				_, err := w.Stdout.Write(first.Text)
				return output(err)
			}
			write := w.WriteFile
			if write == nil {
				write = replaceFile
			}
			if err := write(s.output, first.Text); err != nil {
				return environment(advised{fmt.Errorf("write the config: %w", err), "write it elsewhere with -o FILE, or print it with -o -"})
			}
			if format == "json" {
				return w.printJSON(startOf(first, inv, s.output))
			}
			w.note("notice", "wrote %s for %s of %s in %s; `keywatch plan --config %s` shows what it makes", s.output, counted(len(inv.Keys), "key"), inv.Account, inv.Region, word(s.output))
			return nil
		},
	}
	cmd.Flags().StringVarP(&s.output, "output", "o", config.DefaultFiles[0], "the file; - for standard output")
	cmd.Flags().StringVar(&s.from, "from", "", "take the keys from this snapshot")
	formatFlag(cmd, &format)
	cmd.Flags().BoolVar(&s.force, "force", false, "overwrite the file")
	return cmd
}

// schemaFor is where the schema is, as seen from the config, or "".
func (w *World) schemaFor(output string) string {
	dir := "."
	if output != toStdout {
		dir = filepath.Dir(output)
	}
	for _, path := range []string{"keywatch.schema.json", "docs/schema/config.schema.json"} {
		if _, err := w.ReadFile(filepath.Join(dir, path)); err == nil {
			return path
		}
	}
	return ""
}

// overwrites refuses to take the place of a file, before minutes of reading.
func (w *World) overwrites(s starting) error {
	switch s.output {
	case toStdout:
		return nil
	case "":
		return errors.New("--output names no file; name one, or write to the standard output with -o -")
	}
	if err := checkTarget("--output", s.output); err != nil || s.force {
		return err
	}
	_, err := w.ReadFile(s.output)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return environment(fmt.Errorf("see what %s is: %w", s.output, err))
	}
	return &failure{status: ExitProblems, err: advised{
		fmt.Errorf("%s is there already, and was not changed", s.output),
		"write beside it with -o FILE, look at it with -o -, or overwrite it with --force",
	}}
}

// whole is the inventory to start from, with all that can be known of each key.
func (w *World) whole(ctx context.Context, o *options, s starting) (*inventory.Inventory, error) {
	c, set, err := w.anyConfig(o)
	if err != nil {
		return nil, err
	}
	if s.from != "" {
		return w.inventoryIn(s.from)
	}
	spots, err := w.spots(c, set)
	if err != nil {
		return nil, err
	}
	if len(spots) > 1 {
		return nil, fmt.Errorf("the config %s has %d environments; choose one by -c keywatch:env=ACCOUNT/REGION", c.File, len(spots))
	}
	ctx, cancel := context.WithTimeout(ctx, c.Inventory.Timeout)
	defer cancel()
	if c.Inventory.Source == config.Frozen {
		in, err := w.thaw(c, spots[0])
		if err != nil {
			return nil, err
		}
		w.say(in.aged, c)
		return in.inventory, nil
	}
	_, inv, err := w.read(ctx, c, spots[0], inventory.Need{})
	return inv, late(ctx, c, err)
}

// plainConfig has every default.
const plainConfig = "version: 1\nrules: [{name: all, match: every}]\n"

// anyConfig is the config that is there, or one with every default: init is for
// those who have none, or none that works yet. One that is named has to work.
func (w *World) anyConfig(o *options) (*config.Config, *settings, error) {
	set, err := w.settings(o)
	if err != nil {
		return nil, nil, err
	}
	c, err := config.Load(set.request)
	if err == nil {
		return c, set, nil
	}
	if set.request.Context+set.request.Flag+set.request.Env != "" {
		return w.load(o)
	}
	if config.Found(set.request) {
		w.note("notice", "the config that is here is not valid, so init takes nothing from it; `keywatch validate` says why")
	}
	c, problems := config.Parse("", []byte(plainConfig), set.request.Overrides)
	if len(problems.Errors()) > 0 { // the overrides are the user's
		return nil, nil, w.invalid(o, &config.Config{}, problems, "context")
	}
	return c, set, nil
}

// inventoryIn is what a snapshot holds, whoever's it is.
func (w *World) inventoryIn(path string) (*inventory.Inventory, error) {
	data, err := w.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		var l diag.List
		l.Add(diag.Pos{File: path}, "snapshot-missing", "there is no such snapshot; write it with `keywatch snapshot -o %s`, which needs credentials", word(path))
		return nil, w.refuse(&config.Config{}, l)
	}
	if err != nil {
		return nil, environment(fmt.Errorf("read the snapshot: %w", err))
	}
	s, err := snapshot.Decode(path, data)
	if err != nil {
		return nil, w.refuse(&config.Config{}, err)
	}
	return s.Inventory, nil
}
