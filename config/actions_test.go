package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"keywatch/config"
	"keywatch/internal/diag"
)

// Fill puts in account and region, and refuses what CloudWatch would not
// notify from there. An empty want is an ARN that is refused.
func TestFill(t *testing.T) {
	t.Parallel()
	here := config.Place{Partition: "aws", Region: "eu-west-1", Account: "111122223333"}
	china := config.Place{Partition: "aws-cn", Region: "cn-north-1", Account: "111122223333"}
	for _, test := range []struct {
		at            config.Place
		arn, want, no string
	}{
		{here, "arn:{partition}:sns:{region}:{account}:t", "arn:aws:sns:eu-west-1:111122223333:t", ""},
		{china, "arn:{partition}:sns:{region}:{account}:t", "arn:aws-cn:sns:cn-north-1:111122223333:t", ""},
		{here, "arn:aws:sns:eu-west-1:444455556666:t", "arn:aws:sns:eu-west-1:444455556666:t", ""},
		{here, "arn:aws:sns:{region}:{account}:{region}-{account}", "arn:aws:sns:eu-west-1:111122223333:eu-west-1-111122223333", ""},
		{here, "arn:aws:sns:eu-west-2:111122223333:t", "", `p "arn:aws:sns:eu-west-2:111122223333:t" is of the region eu-west-2, but CloudWatch only notifies within its own, eu-west-1; write {region}, or name a resource there`},
		{china, "arn:aws:sns:cn-north-1:111122223333:t", "", `p "arn:aws:sns:cn-north-1:111122223333:t" is of the partition "aws", but this is "aws-cn"; write {partition}`},
		{here, "arn:aws:lambda:eu-west-1:111122223333:function:f", "arn:aws:lambda:eu-west-1:111122223333:function:f", ""},
		{config.Place{}, "arn:{partition}:sns:{region}:{account}:t", "arn:{partition}:sns:{region}:{account}:t", ""},
		{config.Place{}, "arn:aws:sns:eu-west-2:111122223333:t", "arn:aws:sns:eu-west-2:111122223333:t", ""},
		{config.Place{Region: "eu-west-1"}, "arn:{partition}:sns:{region}:{account}:t", "arn:{partition}:sns:eu-west-1:{account}:t", ""},
	} {
		place := diag.Pos{File: "f", Line: 3, Col: 4}
		got, problems := config.Actions{Alarm: []config.Action{{ARN: test.arn, Path: "p", Pos: place}}}.Fill(test.at)
		switch {
		case test.want == "":
			want := diag.List{{Pos: place, Code: "bad-arn", Message: test.no}}
			if diff := cmp.Diff(want, problems); diff != "" || len(got.Alarm) != 0 {
				t.Errorf("%s in %v: %v (-want +got):\n%s", test.arn, test.at, got, diff)
			}
		case len(problems) > 0 || len(got.Alarm) != 1 || got.Alarm[0] != test.want:
			t.Errorf("%s in %v: %v, %v; want %s", test.arn, test.at, got, problems, test.want)
		}
	}
}

// Each kind of action is filled, and keeps its order.
func TestFillKinds(t *testing.T) {
	t.Parallel()
	a := config.Actions{
		Alarm:            arns("arn:aws:sns:{region}:111122223333:b", "arn:aws:sns:{region}:111122223333:a"),
		OK:               arns("arn:aws:sns:{region}:111122223333:ok"),
		InsufficientData: arns("arn:aws:sns:{region}:111122223333:blind"),
	}
	got, problems := a.Fill(config.Place{Partition: "aws", Region: "eu-west-1", Account: "111122223333"})
	if len(problems) > 0 || len(got.Alarm) != 2 || got.Alarm[0] != "arn:aws:sns:eu-west-1:111122223333:b" ||
		got.OK[0] != "arn:aws:sns:eu-west-1:111122223333:ok" || got.InsufficientData[0] != "arn:aws:sns:eu-west-1:111122223333:blind" {
		t.Errorf("%+v, %v", got, problems)
	}
	if a.None() || !(config.Actions{}).None() || (config.Actions{OK: a.OK}).None() {
		t.Error("None is wrong about who is told")
	}
}
