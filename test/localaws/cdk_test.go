package localaws_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keywatch/test/localaws"
)

type object = map[string]any

// cdk runs the real CDK CLI on cloud assemblies that are written here by hand,
// as the default synthesizer would write them.
type cdk struct {
	t   *testing.T
	aws *localaws.Server
	bin string
}

func newCDK(t *testing.T) *cdk {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(root, "node_modules", ".bin")
	for _, name := range []string{"node", "cdk"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			t.Fatalf("missing: the CDK CLI and its Node.js (%v): run `npm ci`", err)
		}
	}
	return &cdk{t: t, aws: start(t), bin: bin}
}

// run runs the CLI in a folder of its own and returns its output.
func (c *cdk) run(args ...string) (string, error) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), filepath.Join(c.bin, "cdk"), args...)
	cmd.Dir = c.t.TempDir()
	cmd.Env = append(c.aws.Env(), "PATH="+c.bin+string(os.PathListSeparator)+os.Getenv("PATH"), "CI=true", "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *cdk) must(args ...string) string {
	c.t.Helper()
	out, err := c.run(args...)
	if err != nil {
		c.t.Fatalf("cdk %s: %v\n%s", strings.Join(args, " "), err, tail(out, 40))
	}
	return out
}

func (c *cdk) deploy(stacks map[string]object) (string, error) {
	c.t.Helper()
	return c.run("deploy", "--all", "--require-approval", "never", "--no-notices", "--app", c.assembly(stacks))
}

// assembly writes a cloud assembly of stacks, given their resources.
func (c *cdk) assembly(stacks map[string]object) string {
	c.t.Helper()
	const (
		version = "54.0.0"
		where   = localaws.Account + "-" + localaws.Region
		bucket  = "cdk-hnb659fds-assets-" + where
		ssm     = "/cdk-bootstrap/hnb659fds/version"
	)
	role := func(name string) string {
		return "arn:${AWS::Partition}:iam::" + localaws.Account + ":role/cdk-hnb659fds-" + name + "-role-" + where
	}
	dir := c.t.TempDir()
	artifacts := object{}
	for name, resources := range stacks {
		template := c.write(dir, name+".template.json", object{
			"Resources":  resources,
			"Parameters": object{"BootstrapVersion": object{"Type": "AWS::SSM::Parameter::Value<String>", "Default": ssm}},
			"Rules": object{"CheckBootstrapVersion": object{"Assertions": []object{{
				"Assert":            object{"Fn::Not": []object{{"Fn::Contains": []any{[]string{"1", "2", "3", "4", "5"}, object{"Ref": "BootstrapVersion"}}}}},
				"AssertDescription": "CDK bootstrap stack version 6 required.",
			}}}},
		})
		sum := sha256.Sum256(template)
		hash := hex.EncodeToString(sum[:])
		c.write(dir, name+".assets.json", object{
			"version": version,
			"files": object{hash: object{
				"source": object{"path": name + ".template.json", "packaging": "file"},
				"destinations": object{"here": object{
					"bucketName": bucket, "objectKey": hash + ".json", "region": localaws.Region, "assumeRoleArn": role("file-publishing"),
				}},
			}},
		})
		artifacts[name+".assets"] = object{
			"type": "cdk:asset-manifest",
			"properties": object{
				"file": name + ".assets.json", "requiresBootstrapStackVersion": 6, "bootstrapStackVersionSsmParameter": ssm,
			},
		}
		artifacts[name] = object{
			"type":        "aws:cloudformation:stack",
			"environment": "aws://" + localaws.Account + "/" + localaws.Region,
			"properties": object{
				"templateFile":                      name + ".template.json",
				"assumeRoleArn":                     role("deploy"),
				"cloudFormationExecutionRoleArn":    role("cfn-exec"),
				"stackTemplateAssetObjectUrl":       "s3://" + bucket + "/" + hash + ".json",
				"requiresBootstrapStackVersion":     6,
				"bootstrapStackVersionSsmParameter": ssm,
			},
			"dependencies": []string{name + ".assets"},
			"displayName":  name,
		}
	}
	c.write(dir, "manifest.json", object{"version": version, "artifacts": artifacts})
	return dir
}

func (c *cdk) write(dir, name string, value any) []byte {
	c.t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
		c.t.Fatal(err)
	}
	return text
}

// alarms are the names of the alarms that exist, through the API.
func (c *cdk) alarms() []string {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), interpreter(c.t), "-B", "-c", `
import boto3
pages = boto3.client("cloudwatch").get_paginator("describe_alarms").paginate()
for page in pages:
    for alarm in page["MetricAlarms"]:
        print(alarm["AlarmName"], alarm["Metrics"][1]["Expression"])
`)
	cmd.Env = c.aws.Env()
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatal(err)
	}
	text := strings.TrimSpace(string(out))
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// watched are n alarms with their detectors.
func watched(prefix string, n int, band string) object {
	resources := object{}
	for i := range n {
		dimensions := []object{
			{"Name": "KeyArn", "Value": fmt.Sprintf("arn:aws:kms:eu-west-1:123456789012:key/%s-%03d", prefix, i)},
			{"Name": "Operation", "Value": "Decrypt"},
		}
		resources[fmt.Sprintf("Detector%d", i)] = object{
			"Type": "AWS::CloudWatch::AnomalyDetector",
			"Properties": object{"SingleMetricAnomalyDetector": object{
				"Namespace": "AWS/KMS", "MetricName": "SuccessfulRequest", "Dimensions": dimensions, "Stat": "Sum",
			}},
		}
		resources[fmt.Sprintf("Alarm%d", i)] = object{
			"Type":      "AWS::CloudWatch::Alarm",
			"DependsOn": fmt.Sprintf("Detector%d", i),
			"Properties": object{
				"AlarmName":          fmt.Sprintf("%s-%03d", prefix, i),
				"AlarmDescription":   strings.Repeat("d", 500), // makes the template too large to go inline
				"ComparisonOperator": "GreaterThanUpperThreshold",
				"EvaluationPeriods":  3,
				"ThresholdMetricId":  "ad1",
				"Metrics": []object{
					{"Id": "m1", "ReturnData": true, "MetricStat": object{
						"Metric": object{"Namespace": "AWS/KMS", "MetricName": "SuccessfulRequest", "Dimensions": dimensions},
						"Period": 300, "Stat": "Sum",
					}},
					{"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(m1, " + band + ")"},
				},
			},
		}
	}
	return resources
}

// The whole way that a user goes, with the default synthesizer: bootstrap,
// create, change two stacks at once, refuse, destroy.
func TestCDK(t *testing.T) {
	c := newCDK(t)
	const n = 50
	names := func(band string) []string {
		var want []string
		for _, prefix := range []string{"one", "two"} {
			for i := range n {
				want = append(want, fmt.Sprintf("%s-%03d ANOMALY_DETECTION_BAND(m1, %s)", prefix, i, band))
			}
		}
		return want
	}
	deployed := func(band string) {
		t.Helper()
		if got, want := c.alarms(), names(band); !slices.Equal(got, want) {
			t.Fatalf("there are %d alarms %v, want %d", len(got), got[:min(3, len(got))], len(want))
		}
	}

	c.must("bootstrap", "--no-notices", "aws://"+localaws.Account+"/"+localaws.Region)
	stacks := map[string]object{"kw-one": watched("one", n, "2"), "kw-two": watched("two", n, "2")}
	if out, err := c.deploy(stacks); err != nil {
		t.Fatalf("%v\n%s", err, tail(out, 40))
	}
	deployed("2")

	out, err := c.deploy(stacks)
	if err != nil || !strings.Contains(out, "no changes") {
		t.Fatalf("the second deploy: %v\n%s", err, tail(out, 40))
	}

	stacks = map[string]object{"kw-one": watched("one", n, "3"), "kw-two": watched("two", n, "3")}
	if out, err := c.deploy(stacks); err != nil {
		t.Fatalf("%v\n%s", err, tail(out, 40))
	}
	deployed("3")

	for name, spoil := range map[string]struct {
		change func(object)
		reason string
	}{
		"Threshold": {
			func(r object) { r["Alarm7"].(object)["Properties"].(object)["Threshold"] = 1 },
			"Threshold and ThresholdMetricId must not be specified together",
		},
		"type": {
			func(r object) { r["Odd"] = object{"Type": "AWS::Foo::Bar"} },
			"Unrecognized resource types: [AWS::Foo::Bar]",
		},
		"duplicate": {
			func(r object) {
				r["Alarm0"].(object)["Properties"].(object)["AlarmName"] = "two-000"
			},
			"'two-000' already exists",
		},
		"resources": {
			func(r object) {
				for i := range 401 {
					r[fmt.Sprintf("W%d", i)] = object{"Type": "AWS::CloudFormation::WaitConditionHandle"}
				}
			},
			"Number of resources, 501, is greater than maximum allowed, 500",
		},
	} {
		t.Run("refused "+name, func(t *testing.T) {
			bad := watched("one", n, "4")
			spoil.change(bad)
			out, err := c.deploy(map[string]object{"kw-one": bad})
			if err == nil {
				t.Errorf("the deploy succeeded\n%s", tail(out, 40))
			}
			if flat := strings.Join(strings.Fields(out), " "); !strings.Contains(flat, spoil.reason) {
				t.Errorf("the reason %q is not in the output\n%s", spoil.reason, tail(out, 40))
			}
			deployed("3")
		})
	}

	// The first deploy of a stack, refused: nothing of it is left.
	bad := watched("new", 3, "2")
	bad["Alarm2"].(object)["Properties"].(object)["Threshold"] = 1
	out, err = c.deploy(map[string]object{"kw-new": bad})
	if err == nil || !strings.Contains(out, "ROLLBACK_COMPLETE") {
		t.Errorf("%v\n%s", err, tail(out, 40))
	}
	deployed("3")

	stacks["kw-new"] = bad
	c.must("destroy", "--all", "--force", "--no-notices", "--app", c.assembly(stacks))
	if left := c.alarms(); left != nil {
		t.Errorf("left after destroy: %v", left)
	}
}
