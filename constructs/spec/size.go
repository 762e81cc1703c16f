package spec

import (
	"strconv"
	"unicode/utf8"
)

// What CDK writes for a resource: JSON.stringify with an indent of one space,
// the values left out. Each line counts with a comma, whether it has one or
// not, so that a sum of parts is never too small.
const (
	detectorText = `
  "": {
   "Type": "AWS::CloudWatch::AnomalyDetector",
   "Properties": {
    "SingleMetricAnomalyDetector": {
     "Dimensions": [
      {
       "Name": "KeyArn",
       "Value": "",
      },
      {
       "Name": "Operation",
       "Value": "",
      },
     ],
     "MetricName": "SuccessfulRequest",
     "Namespace": "AWS/KMS",
     "Stat": "",
    },
   },
   "DeletionPolicy": "Delete",
   "UpdateReplacePolicy": "Retain",
  },`
	alarmText = `
  "": {
   "Type": "AWS::CloudWatch::Alarm",
   "Properties": {
    "ComparisonOperator": "",
    "DatapointsToAlarm": ,
    "EvaluationPeriods": ,
    "Metrics": [
    ],
    "TreatMissingData": "",
   },
  },`
	metricText = `
     {
      "Id": "",
      "MetricStat": {
       "Metric": {
        "Dimensions": [
         {
          "Name": "KeyArn",
          "Value": "",
         },
         {
          "Name": "Operation",
          "Value": "",
         },
        ],
        "MetricName": "SuccessfulRequest",
        "Namespace": "AWS/KMS",
       },
       "Period": ,
       "Stat": "",
      },
      "ReturnData": false,
     },`
	expressionText = `
     {
      "Expression": "",
      "Id": "",
      "ReturnData": false,
     },`
	labelText       = "\n      \"Label\": \"\","
	nameText        = "\n    \"AlarmName\": \"\","
	descriptionText = "\n    \"AlarmDescription\": \"\","
	thresholdText   = "\n    \"Threshold\": ,"
	bandText        = "\n    \"ThresholdMetricId\": \"\","
	dependsText     = "\n   \"DependsOn\": [\n    \"\",\n   ],"
	// The longest of the three lists of actions.
	actionsText = "\n    \"InsufficientDataActions\": [\n    ],"
	actionText  = "\n     \"\","
)

// TemplateBytes is an upper bound, in bytes, of what the unit takes in a
// synthesised template, as CDK writes it to the cloud assembly: at least the
// real size, and within a quarter of it. A template may have 1 MB
// ("CloudFormation quotas", CloudFormation User Guide). It holds for units
// whose strings hold no CDK token.
func (u Unit) TemplateBytes() int {
	n := 0
	for _, d := range u.Detectors {
		n += len(detectorText) + quoted(d.ID, d.KeyARN, string(d.Operation), d.Statistic)
	}
	for _, a := range u.Alarms {
		n += a.templateBytes()
	}
	return n
}

func (a Alarm) templateBytes() int {
	n := len(alarmText) + quoted(a.ID, a.Operator, a.TreatMissingData) + digits(a.DatapointsToAlarm) + digits(a.EvaluationPeriods)
	n += optional(nameText, a.Name) + optional(descriptionText, a.Description) + optional(bandText, a.ThresholdMetricID) + optional(dependsText, a.DetectorID)
	if a.Threshold != nil {
		n += len(thresholdText) + len(strconv.FormatFloat(*a.Threshold, 'f', -1, 64))
	}
	for _, q := range a.Queries {
		n += q.templateBytes()
	}
	for _, list := range [][]string{a.Actions.Alarm, a.Actions.OK, a.Actions.InsufficientData} {
		if len(list) > 0 {
			n += len(actionsText) + len(list)*len(actionText) + quoted(list...)
		}
	}
	return n
}

func (q Query) templateBytes() int {
	n := optional(labelText, q.Label) + quoted(q.ID)
	if q.Operation == "" {
		return n + len(expressionText) + quoted(q.Expression)
	}
	return n + len(metricText) + quoted(q.KeyARN, string(q.Operation), q.Statistic) + digits(int(q.Period.Seconds()))
}

func optional(text, value string) int {
	if value == "" {
		return 0
	}
	return len(text) + quoted(value)
}

func digits(n int) int { return len(strconv.Itoa(n)) }

// quoted is the number of bytes that the strings take between the quotes of
// JSON.stringify (ECMA-262, QuoteJSONString), in UTF-8.
func quoted(list ...string) int {
	n := 0
	for _, s := range list {
		for _, r := range s {
			switch {
			case r == '"' || r == '\\' || r == '\b' || r == '\f' || r == '\n' || r == '\r' || r == '\t':
				n += 2
			case r < ' ':
				n += len(`\u0000`)
			default:
				n += utf8.RuneLen(r) // an invalid byte becomes U+FFFD
			}
		}
	}
	return n
}
