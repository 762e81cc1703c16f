package constructs_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"keywatch/constructs"
)

func alarmARNs(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("arn:aws:cloudwatch:%s:%s:alarm:keywatch pay %012d Decrypt anomaly", region, account, i)
	}
	return list
}

func dashboard(t *testing.T, props *constructs.TopKeysDashboardProps) object {
	t.Helper()
	s := newStack(t)
	constructs.NewTopKeysDashboard(s, jsii.String("Default"), props)
	return template(t, s)
}

// bodyOf is the DashboardBody, which must be one string: what it says is known
// at synth, so nothing in it is left to the deployment.
func bodyOf(t *testing.T, tpl object) object {
	t.Helper()
	text, ok := tpl.one(t, dashboardType).at("Properties", "DashboardBody").(string)
	if !ok {
		t.Fatalf("DashboardBody is %v, not a string", tpl.one(t, dashboardType)["Properties"])
	}
	var body object
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		t.Fatal(err)
	}
	return body
}

func TestTopKeysDashboardGoldens(t *testing.T) {
	golden(t, "dashboard-minimal", dashboard(t, nil))
	golden(t, "dashboard-full", dashboard(t, &constructs.TopKeysDashboardProps{
		DashboardName: "keywatch-eu-west-1", TopKeys: 5, AlarmARNs: alarmARNs(101),
	}))
}

func TestWhyTheDashboardIsSo(t *testing.T) {
	tpl := dashboard(t, &constructs.TopKeysDashboardProps{DashboardName: "keywatch-eu-west-1", AlarmARNs: alarmARNs(2)})
	// The plan and the end-to-end test find it by this logical ID, and the name
	// holds the region: dashboards are global to an account.
	equal(t, "DashboardName", tpl.at("Resources", "Dashboard", "Properties", "DashboardName"), any("keywatch-eu-west-1"))
	body := bodyOf(t, tpl)
	// Without the dashboard's own periods kept, the sums would change with the
	// zoom.
	equal(t, "periodOverride", body["periodOverride"], any("inherit"))
	var queries []string
	for _, w := range body["widgets"].([]any) {
		w := object(w.(map[string]any))
		switch w["type"] {
		case "alarm":
			// ARNs as plain strings: a reference would tie the stacks together.
			equal(t, "alarms", w.at("properties", "alarms"), any([]any{alarmARNs(2)[0], alarmARNs(2)[1]}))
		case "metric":
			equal(t, "region", w.at("properties", "region"), any(region))
			equal(t, "period", w.at("properties", "metrics", 0, 0, "period"), any(300.0))
			queries = append(queries, w.at("properties", "metrics", 0, 0, "expression").(string))
		}
	}
	// The query of the KMS guide, but ranked by the total.
	equal(t, "the first query", queries[0], `SELECT SUM(SuccessfulRequest) FROM SCHEMA("AWS/KMS", KeyArn, Operation) GROUP BY KeyArn ORDER BY SUM() DESC LIMIT 20`)
	// ReEncrypt has dimensions of its own; in the schema above it has no series.
	equal(t, "the last query", queries[len(queries)-1], `SELECT SUM(SuccessfulRequest) FROM SCHEMA("AWS/KMS", SourceKeyArn, DestinationKeyArn, Operation) GROUP BY SourceKeyArn, DestinationKeyArn ORDER BY SUM() DESC LIMIT 20`)
	all := strings.Join(queries, "\n")
	for _, op := range []string{"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "Sign", "Verify", "GenerateMac", "VerifyMac", "DeriveSharedSecret"} {
		contains(t, all, `WHERE "Operation" = '`+op+`' GROUP BY KeyArn`)
	}
}

func TestDashboardTakesTheStacksRegion(t *testing.T) {
	app := newApp(t)
	s := awscdk.NewStack(app, jsii.String("Anywhere"), nil)
	d := constructs.NewTopKeysDashboard(s, jsii.String("Keys"), nil)
	tpl := template(t, s)
	// Known only at deployment: the body is joined from its text and the region.
	contains(t, fmt.Sprint(tpl.one(t, dashboardType)), "Fn::Join", "AWS::Region", "AWS::AccountId")
	equal(t, "no name", tpl.one(t, dashboardType).at("Properties", "DashboardName"), nil)
	if *d.Dashboard().DashboardBody() == "" || d.Body() == "" {
		t.Error("the construct does not return what it made")
	}
}

func TestDashboardRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		props constructs.TopKeysDashboardProps
		want  []string
	}{
		"too many": {constructs.TopKeysDashboardProps{TopKeys: 501}, []string{`TopKeysDashboard at "Stack/X": TopKeys is 501; allowed are 1 to 500`}},
		"negative": {constructs.TopKeysDashboardProps{TopKeys: -1}, []string{"TopKeys is -1"}},
		"bad name": {constructs.TopKeysDashboardProps{DashboardName: "a b"}, []string{`DashboardName is "a b"`}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t)
			contains(t, panicOf(t, func() { constructs.NewTopKeysDashboard(s, jsii.String("X"), &c.props) }), c.want...)
		})
	}
}
