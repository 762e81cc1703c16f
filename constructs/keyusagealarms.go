package constructs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"

	"keywatch/constructs/spec"
)

// KeyUsageAlarmsProps says which keys to watch, and how. Exactly one of Units,
// Keys and Key is set. The other fields do not go with Units, which have all
// that already.
type KeyUsageAlarmsProps struct {
	// Units are drawn exactly as they are; their IDs become construct IDs.
	Units []spec.Unit

	// Keys are keys whose ARNs are known as text. The key ID is in the construct
	// IDs, so keys can come and go without touching each other's alarms. A list
	// that is empty but not nil makes nothing: the last key may go too.
	Keys []spec.Key

	// Key is a key of this or another CDK app; its ARN may be a token. The ID of
	// this construct is then the identity: a new ID replaces the alarms.
	Key awskms.IKey

	// Name is the prefix of the alarms' names.
	// With Keys, a name is "<Name> <alias> <end of key ID> <operation> anomaly"
	// (or threshold; and the alarm's id unless it is "main"), unique per account
	// and region. With Key it is "<Name> <operation> anomaly", so each Key needs
	// a Name of its own.
	// Default: CloudFormation makes unique names.
	Name string

	// Operations that get anomaly alarms.
	// Default: all that the key can do and that CloudWatch counts per key, but
	// the two GenerateDataKeyPair operations. An imported Key does not say what
	// it can do, so it has no default.
	Operations []spec.Operation

	// Anomalies are the anomaly alarms that each operation gets. Fields left zero
	// take the values of spec.DefaultAnomaly.
	// Default (nil): one, spec.DefaultAnomaly. An empty list means none.
	Anomalies []spec.Anomaly

	// Thresholds are static alarms, each on the sum of its Operations. Fields left
	// zero take the values of spec.Threshold.WithDefaults.
	// Default: none.
	Thresholds []spec.Threshold

	// Actions are the ARNs that all these alarms notify, at most 5 a list.
	// Default: none.
	Actions spec.Actions

	// CloudWatchDetectors leaves the anomaly detectors to CloudWatch, which makes
	// them when it first evaluates an alarm, and keeps them when the alarm goes.
	// Default: false, the detectors are resources beside the alarms.
	CloudWatchDetectors bool
}

// KeyUsageAlarms is the alarms on the usage of KMS keys, with their anomaly
// detectors: AWS::CloudWatch::Alarm and AWS::CloudWatch::AnomalyDetector on the
// metric AWS/KMS SuccessfulRequest with the dimensions KeyArn and Operation
// ("Monitor KMS keys with Amazon CloudWatch", KMS Developer Guide).
//
// CloudWatch has one detector for each key, operation and statistic. Two
// constructs with anomaly alarms on the same of these, in one stack or in several,
// would each declare it: the second deploys over the first, or fails, and either
// deletes it for both. Give all alarms on a key to one construct (Anomalies is a
// list), or set CloudWatchDetectors on all but one.
type KeyUsageAlarms interface {
	constructs.Construct
	// Units is what was drawn, as plain data.
	Units() []spec.Unit
	// Alarms are the alarms that were made, in the order of Units.
	Alarms() []awscloudwatch.CfnAlarm
	// Detectors are the detectors that were made, in the order of Units.
	Detectors() []awscloudwatch.CfnAnomalyDetector
	// AlarmsOn are the alarms that watch the operation, alone or in a sum.
	AlarmsOn(spec.Operation) []awscloudwatch.CfnAlarm
}

type keyUsageAlarms struct {
	constructs.Construct
	units     []spec.Unit
	alarms    []awscloudwatch.CfnAlarm
	detectors []awscloudwatch.CfnAnomalyDetector
}

// NewKeyUsageAlarms adds the alarms to the scope. It panics when the props are
// wrong: none (not even an empty Keys) or more than one of Units, Keys and Key; ReEncrypt, which has no
// series per key; an operation that a key cannot do; an imported Key without
// Operations; a band out of 0 to 100; more than 5 actions a list or 10
// operations a sum; anything given twice; nothing to watch. It names all such
// problems at once.
func NewKeyUsageAlarms(scope constructs.Construct, id *string, props *KeyUsageAlarmsProps) KeyUsageAlarms {
	this := &keyUsageAlarms{}
	constructs.NewConstruct_Override(this, scope, id)
	if props == nil {
		props = &KeyUsageAlarmsProps{}
	}
	units, problems := unitsOf(*props)
	if len(problems) > 0 {
		fail(this, "KeyUsageAlarms", problems)
	}
	this.units = units
	for _, u := range units {
		this.draw(u)
	}
	return this
}

func (k *keyUsageAlarms) Units() []spec.Unit { return slices.Clone(k.units) }

func (k *keyUsageAlarms) Alarms() []awscloudwatch.CfnAlarm { return slices.Clone(k.alarms) }

func (k *keyUsageAlarms) Detectors() []awscloudwatch.CfnAnomalyDetector {
	return slices.Clone(k.detectors)
}

func (k *keyUsageAlarms) AlarmsOn(op spec.Operation) []awscloudwatch.CfnAlarm {
	var on []awscloudwatch.CfnAlarm
	i := 0
	for _, u := range k.units {
		for _, a := range u.Alarms {
			if slices.Contains(a.Operations, op) {
				on = append(on, k.alarms[i])
			}
			i++
		}
	}
	return on
}

// draw adds one unit. An alarm depends on its detector: were it created first
// or deleted last, CloudWatch would make a detector of its own for it, which
// nothing deletes.
func (k *keyUsageAlarms) draw(u spec.Unit) {
	drawn := make(map[string]awscloudwatch.CfnAnomalyDetector, len(u.Detectors))
	for _, d := range u.Detectors {
		drawn[d.ID] = newDetector(k, d)
		k.detectors = append(k.detectors, drawn[d.ID])
	}
	for _, a := range u.Alarms {
		alarm := newAlarm(k, a)
		if d, ok := drawn[a.DetectorID]; ok {
			alarm.AddResourceDependency(d, nil)
		}
		k.alarms = append(k.alarms, alarm)
	}
}

// fail panics with every problem and the path of the construct, which tells a
// user where in the app to look.
func fail(c constructs.Construct, kind string, problems []string) {
	panic(fmt.Errorf("%s at %q: %s", kind, *c.Node().Path(), strings.Join(problems, "; ")))
}
