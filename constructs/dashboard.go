package constructs

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"keywatch/constructs/spec"
)

// TopKeysDashboardProps says what the dashboard shows. Any string may be a
// token.
type TopKeysDashboardProps struct {
	// DashboardName is 1 to 255 of A-Z, a-z, 0-9, - and _. Dashboards are global
	// to an account, so put the region in it (PutDashboard, CloudWatch API
	// Reference).
	// Default: CloudFormation makes a name.
	DashboardName string
	// Region and Account of the keys and the alarms.
	// Default: those of the stack.
	Region, Account string
	// TopKeys is how many keys each graph shows, 1 to 500.
	// Default: 20.
	TopKeys int
	// AlarmARNs of the alarms whose states are shown: the first 100, and how many
	// more there are.
	// Default: none; the dashboard says so.
	AlarmARNs []string
	// Evidence is the Content of a SlaEvidence: the dashboard then shows the error
	// budget, its alarms, and the Health events in it.
	// Default: none.
	Evidence *spec.EvidenceContent
}

// TopKeysDashboard is an AWS::CloudWatch::Dashboard of the busiest KMS keys: in
// total, per operation, and per pair of keys for ReEncrypt, with the states of
// the alarms. The keys are found by Metrics Insights when somebody looks, so
// the dashboard need not know them.
type TopKeysDashboard interface {
	constructs.Construct
	// Dashboard is the resource that was made.
	Dashboard() awscloudwatch.CfnDashboard
	// Body is the DashboardBody, JSON in which tokens are not resolved yet.
	Body() string
}

type topKeysDashboard struct {
	constructs.Construct
	dashboard awscloudwatch.CfnDashboard
	body      string
}

// NewTopKeysDashboard adds the dashboard to the scope. It panics when TopKeys,
// or the name, is out of range.
func NewTopKeysDashboard(scope constructs.Construct, id *string, props *TopKeysDashboardProps) TopKeysDashboard {
	this := &topKeysDashboard{}
	constructs.NewConstruct_Override(this, scope, id)
	var p TopKeysDashboardProps
	if props != nil {
		p = *props
	}
	if p.TopKeys == 0 {
		p.TopKeys = spec.DefaultTopKeys
	}
	if problems := dashboardProblems(p); len(problems) > 0 {
		fail(this, "TopKeysDashboard", problems)
	}
	if p.Region == "" || p.Account == "" {
		stack := awscdk.Stack_Of(this)
		p.Region, p.Account = orDefault(&p.Region, *stack.Region()), orDefault(&p.Account, *stack.Account())
	}
	this.body = spec.DashboardContent{Region: p.Region, Account: p.Account, TopKeys: p.TopKeys, AlarmARNs: slices.Clone(p.AlarmARNs), Evidence: p.Evidence}.Body()
	this.dashboard = awscloudwatch.NewCfnDashboard(this, jsii.String("Dashboard"), &awscloudwatch.CfnDashboardProps{
		DashboardName: optional(p.DashboardName),
		DashboardBody: &this.body,
	})
	return this
}

func (d *topKeysDashboard) Dashboard() awscloudwatch.CfnDashboard { return d.dashboard }

func (d *topKeysDashboard) Body() string { return d.body }

var dashboardName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

func dashboardProblems(p TopKeysDashboardProps) (problems []string) {
	if p.TopKeys < 1 || p.TopKeys > spec.MaxTopKeys {
		problems = append(problems, fmt.Sprintf("TopKeys is %d; allowed are 1 to %d", p.TopKeys, spec.MaxTopKeys))
	}
	if p.DashboardName != "" && !spec.IsToken(p.DashboardName) && !dashboardName.MatchString(p.DashboardName) {
		problems = append(problems, fmt.Sprintf("DashboardName is %q; allowed are 1 to 255 of A-Z, a-z, 0-9, - and _", p.DashboardName))
	}
	return problems
}
