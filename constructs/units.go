package constructs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"

	"keywatch/constructs/spec"
	"keywatch/internal/naming"
)

// unitsOf works out what to draw. Of jsii it touches only a Key's ARN, usage
// and spec; the rest is plain data.
func unitsOf(p KeyUsageAlarmsProps) ([]spec.Unit, []string) {
	ways := 0
	for _, set := range []bool{p.Units != nil, p.Keys != nil, p.Key != nil} {
		if set {
			ways++
		}
	}
	switch {
	case ways > 1:
		return nil, []string{"more than one of Units, Keys and Key is set; set one"}
	case p.Units != nil:
		return p.Units, checkUnits(p)
	case p.Key != nil:
		k, problems := importKey(p.Key, len(p.Operations) > 0 || p.Anomalies != nil && len(p.Anomalies) == 0)
		if len(problems) > 0 {
			return nil, problems
		}
		return expand(p, []spec.Key{k}, ofConstruct{prefix: p.Name})
	}
	return fromKeys(p)
}

func checkUnits(p KeyUsageAlarmsProps) []string {
	var problems []string
	if p.Name != "" || p.Operations != nil || p.Anomalies != nil || p.Thresholds != nil || p.CloudWatchDetectors ||
		slices.Concat(p.Actions.Alarm, p.Actions.OK, p.Actions.InsufficientData) != nil {
		problems = append(problems, "Units are drawn as they are; with them, leave all other fields empty")
	}
	if len(p.Units) == 0 {
		problems = append(problems, nothing)
	}
	return append(problems, spec.UnitProblems(p.Units)...)
}

const nothing = "there is nothing to watch; give Units, Keys or a Key"

func fromKeys(p KeyUsageAlarmsProps) ([]spec.Unit, []string) {
	if p.Keys == nil {
		return nil, []string{nothing}
	}
	var problems []string
	seen := map[string]bool{}
	for _, k := range p.Keys {
		switch {
		case spec.IsToken(k.ARN):
			problems = append(problems, fmt.Sprintf("the ARN of the key %q is not known before the deployment, so it cannot be an identity; give the key as Key, one construct for each", k.ARN))
		case !isKeyARN(k.ARN):
			problems = append(problems, fmt.Sprintf("%q is no key ARN; expected arn:PARTITION:kms:REGION:ACCOUNT:key/ID", k.ARN))
		case seen[k.ARN]:
			problems = append(problems, fmt.Sprintf("the key %s is there twice", k.ARN))
		}
		seen[k.ARN] = true
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return expand(p, p.Keys, ofKeys{naming.Deployment(p.Name)})
}

func isKeyARN(s string) bool {
	parts := strings.Split(s, ":")
	return len(parts) == 6 && parts[0] == "arn" && parts[2] == "kms" && strings.HasPrefix(parts[5], "key/") && parts[5] != "key/"
}

// expand makes the units of the keys, or says what is wrong.
func expand(p KeyUsageAlarmsProps, keys []spec.Key, names spec.Names) (units []spec.Unit, problems []string) {
	for _, k := range keys {
		w := watchOf(p, k)
		found := w.Problems(k)
		for i := range found {
			if len(keys) > 1 {
				found[i] = k.ARN + ": " + found[i]
			}
		}
		problems = append(problems, found...)
		if len(found) == 0 {
			units = append(units, spec.Expand(k, w, names)...)
		}
	}
	for _, u := range units {
		for _, a := range u.Alarms {
			if utf8.RuneCountInString(a.Name) > spec.MaxAlarmName {
				problems = append(problems, fmt.Sprintf("the alarm name %q has over %d characters; shorten Name", a.Name, spec.MaxAlarmName))
			}
		}
	}
	return units, problems
}

// watchOf fills the defaults in.
func watchOf(p KeyUsageAlarmsProps, k spec.Key) spec.Watch {
	w := spec.Watch{Operations: sorted(p.Operations), Actions: p.Actions, Detectors: !p.CloudWatchDetectors}
	if p.Operations == nil {
		w.Operations, _ = spec.Core(k.Usage, k.Spec)
	}
	anomalies := p.Anomalies
	if anomalies == nil {
		anomalies = []spec.Anomaly{{}}
	}
	for _, a := range anomalies {
		w.Anomalies = append(w.Anomalies, a.WithDefaults())
	}
	for _, t := range p.Thresholds {
		t.Operations = sorted(t.Operations)
		w.Thresholds = append(w.Thresholds, t.WithDefaults())
	}
	return w
}

func sorted[T cmp.Ordered](list []T) []T { return slices.Sorted(slices.Values(list)) }

// importKey reads what the app knows of a key. A key that the app creates says
// what it is for; the defaults are those of CreateKey (KMS API Reference). A
// key that is imported does not.
func importKey(key awskms.IKey, explicit bool) (spec.Key, []string) {
	k := spec.Key{ARN: *key.KeyArn()}
	if _, ok := key.(awskms.IAlias); ok {
		return k, []string{"Key is an alias; CloudWatch counts per key, under the key's own ARN, so give the key that the alias stands for"}
	}
	if cfn, ok := key.Node().DefaultChild().(awskms.CfnKey); ok {
		k.Usage, k.Spec = orDefault(cfn.KeyUsage(), spec.UsageEncryptDecrypt), orDefault(cfn.KeySpec(), spec.SpecSymmetricDefault)
		return k, nil
	}
	if !explicit {
		return k, []string{fmt.Sprintf("the key %s is imported, so what it can do is not known here; set Operations", k.ARN)}
	}
	return k, nil
}

func orDefault(s *string, value string) string {
	if s == nil || *s == "" {
		return value
	}
	return *s
}

// ofKeys names as a keywatch deployment does, or not at all without a prefix.
type ofKeys struct{ naming.Deployment }

func (n ofKeys) Alarm(k spec.Key, ops []spec.Operation, kind spec.Kind, id string) (constructID, name string) {
	constructID, name = n.Deployment.Alarm(k, ops, kind, id)
	if n.Deployment == "" {
		name = ""
	}
	return constructID, name
}

// ofConstruct takes the construct for the identity, since the key's ARN may be
// a token.
type ofConstruct struct {
	naming.Local
	prefix string
}

func (n ofConstruct) Alarm(k spec.Key, ops []spec.Operation, kind spec.Kind, id string) (constructID, name string) {
	constructID, name = n.Local.Alarm(k, ops, kind, id)
	if n.prefix != "" {
		name = strings.Join([]string{n.prefix, spec.JoinOperations(ops, "+"), string(kind)}, " ")
		if id != spec.DefaultID {
			name += " " + id
		}
	}
	return constructID, name
}
