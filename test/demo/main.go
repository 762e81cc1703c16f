// Demo does the main job of keywatch for real, without an AWS account: it starts
// a local AWS, makes 25 keys in it, deploys with the CDK CLI, reads back what is
// there now, and stops what it started. `make demo` runs it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"keywatch/test/fixture"
	"keywatch/test/localaws"
	"keywatch/test/observed"
)

const configFile = "examples/demo.yaml"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "demo: error: %v\n", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "keywatch-demo-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	step("start a local AWS (moto) on a loopback port")
	server, err := localaws.Start(ctx, localaws.Options{Log: filepath.Join(dir, "aws.log")})
	if err != nil {
		return err
	}
	defer func() {
		step("stop the local AWS")
		if e := server.Stop(); err == nil {
			err = e
		}
	}()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(localaws.Region), config.WithBaseEndpoint(server.URL()),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("demo", "demo", "")))
	if err != nil {
		return err
	}

	keys := fixture.Keys()
	step("make %d KMS keys of several teams in it", len(keys))
	client := kms.NewFromConfig(cfg)
	for _, k := range keys {
		if _, err := fixture.Create(ctx, client, k); err != nil {
			return err
		}
	}

	d := demo{server: server, dir: dir}
	step("keywatch plan --config %s: what would be deployed, and its price", configFile)
	if err := d.show(ctx, "bin/keywatch", "plan", "--config", configFile); err != nil {
		return err
	}
	step("cdk bootstrap: what the CDK needs in an account, once")
	if err := d.cdk(ctx, "bootstrap"); err != nil {
		return err
	}
	step("cdk deploy --all: the account's keys become alarms")
	if err := d.cdk(ctx, "deploy", "--all", "--require-approval", "never"); err != nil {
		return err
	}
	step("read back through the CloudWatch and CloudFormation APIs")
	state, err := observed.Read(ctx, cfg)
	if err != nil {
		return err
	}
	return d.compare(ctx, state)
}

type demo struct {
	server *localaws.Server
	dir    string
	out    int
}

// started lets each step say how long after the start it came.
var started = time.Now()

func step(format string, args ...any) {
	fmt.Printf("\n== %4.1fs  %s\n", time.Since(started).Seconds(), fmt.Sprintf(format, args...))
}

func (d *demo) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	// The CDK CLI keeps in its home which account an access key belongs to.
	cmd.Env = append(d.server.Env(), "CDK_HOME="+d.dir)
	return cmd
}

func (d *demo) show(ctx context.Context, name string, args ...string) error {
	cmd := d.command(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

// cdk runs the CDK CLI and shows its progress without the line per resource.
func (d *demo) cdk(ctx context.Context, args ...string) error {
	d.out++
	args = append(args, "-c", "keywatch:config="+configFile, "--output", filepath.Join(d.dir, fmt.Sprint("cdk.out.", d.out)), "--ci")
	cmd := d.command(ctx, filepath.Join("node_modules", ".bin", "cdk"), args...)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	var all strings.Builder
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			line := lines.Text()
			fmt.Fprintln(&all, line)
			if strings.TrimSpace(line) != "" && !strings.Contains(line, " | ") {
				fmt.Println("   " + line)
			}
		}
	}()
	err := cmd.Run()
	w.Close()
	<-done
	if err != nil {
		return fmt.Errorf("cdk %s: %w\n%s", args[0], err, all.String())
	}
	return nil
}

// compare holds what is there against what keywatch says and against what is
// written beside the keys by hand.
func (d *demo) compare(ctx context.Context, s *observed.State) error {
	alarms := map[string]int{} // by key ARN
	for _, a := range s.Alarms {
		for _, q := range a.Metrics {
			if q.MetricStat != nil {
				alarms[observed.Dimensions(q.MetricStat.Metric.Dimensions)["KeyArn"]]++
				break
			}
		}
	}
	fmt.Printf("   %d alarms on %d keys, %d anomaly detectors, %d dashboard, %d stacks\n\n",
		len(s.Alarms), len(alarms), len(s.Detectors), len(s.Dashboards), len(s.Stacks))
	if err := d.show(ctx, "bin/keywatch", "coverage", "--keys", "--config", configFile); err != nil {
		return err
	}
	out, err := d.command(ctx, "bin/keywatch", "coverage", "--format", "json", "--config", configFile).Output()
	if err != nil {
		return fmt.Errorf("keywatch coverage: %w", err)
	}
	var report struct {
		Keys []struct {
			KeyARN  string
			Aliases []string
			Rule    string
			Alarms  []struct{ Name string }
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return fmt.Errorf("read keywatch coverage: %w", err)
	}
	want := map[string]fixture.Key{}
	for _, k := range fixture.Keys() {
		if len(k.Aliases) > 0 {
			want["alias/"+k.Aliases[0]] = k
		}
	}
	total := 0
	for _, k := range report.Keys {
		expected := fixture.Key{}
		if len(k.Aliases) > 0 {
			expected = want[k.Aliases[0]]
		}
		n := len(expected.Anomaly) + len(expected.Static)
		total += n
		if k.Rule != expected.Rule && expected.Rule != "" || len(k.Alarms) != n || alarms[k.KeyARN] != n {
			return fmt.Errorf("key %s %v: rule %q and %d alarms in CloudWatch, want rule %q and %d", k.KeyARN, k.Aliases, k.Rule, alarms[k.KeyARN], expected.Rule, n)
		}
	}
	if len(report.Keys) != len(fixture.Keys()) || len(s.Alarms) != total {
		return fmt.Errorf("%d keys and %d alarms, want %d and %d", len(report.Keys), len(s.Alarms), len(fixture.Keys()), total)
	}
	for name := range s.Alarms {
		if a := s.Alarms[name]; a.ThresholdMetricId != nil && a.Threshold != nil {
			return fmt.Errorf("alarm %s has a threshold beside its band", aws.ToString(a.AlarmName))
		}
	}
	fmt.Printf("\nEvery key has exactly the alarms that %s asks for.\n", configFile)
	return nil
}
