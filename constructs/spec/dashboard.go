package spec

import (
	"encoding/json"
	"fmt"
	"strings"
)

const (
	// DefaultTopKeys is how many keys each graph shows when nobody says
	// otherwise; it is the number of the AWS Security Blog post "AWS KMS
	// CloudWatch metrics help you better track and understand how your KMS
	// keys are being used".
	DefaultTopKeys = 20
	// MaxDashboardBody is the largest DashboardBody, in bytes.
	MaxDashboardBody = 1 << 20
	// dashboardPeriod is the length of one datapoint, in seconds.
	dashboardPeriod = 300
)

// DashboardContent is what the dashboard of the busiest keys shows. Any string
// may hold CDK tokens: the body only repeats it.
type DashboardContent struct {
	// Region and Account are those of the keys and alarms.
	Region, Account string
	// TopKeys is the LIMIT of each query, 1 to MaxTopKeys.
	TopKeys int
	// AlarmARNs of all alarms; the first MaxDashboardAlarms are shown, how
	// many are left out is said in words.
	AlarmARNs []string
	// Evidence is what is kept for a claim; nil: nothing, and nothing is shown.
	Evidence *EvidenceContent
}

// Body is the DashboardBody: JSON as "Dashboard Body Structure and Syntax"
// (CloudWatch API Reference) has it. The same content gives the same bytes.
func (c DashboardContent) Body() string {
	g := grid{}
	g.text(c.head(), 4)
	c.alarms(&g)
	g.row()
	g.graph(24, 9, c.graph(fmt.Sprintf("The %d busiest keys, all operations but ReEncrypt", c.TopKeys), perKey, "", "KeyArn"))
	for _, op := range watchable {
		g.graph(12, 7, c.graph(string(op)+": the busiest keys", perKey, op, "KeyArn"))
	}
	g.graph(12, 7, c.graph("ReEncrypt: the busiest pairs of keys, source and destination", perPair, "", "SourceKeyArn, DestinationKeyArn"))
	if c.Evidence != nil {
		c.evidence(&g)
	}
	return encode(dashboardBody{Start: "-PT3H", PeriodOverride: "inherit", Widgets: g.widgets})
}

// head says what the reader sees, and what not.
func (c DashboardContent) head() string {
	return strings.Join([]string{
		"# KMS key usage in " + c.Region,
		fmt.Sprintf("Account %s: the %d KMS keys with the most successful cryptographic requests, in total and per operation, in periods of 5 minutes (metric `AWS/KMS` `SuccessfulRequest`).", c.Account, c.TopKeys),
		"Requests that failed or were throttled are not counted. ReEncrypt is counted per pair of keys, so it has a graph of its own and is not in the total. Of an account with more than 10,000 series, CloudWatch shows a part, without saying so.",
	}, "\n\n")
}

// alarms shows the alarms' states. A widget without alarms is invalid, so no
// alarms are said in words, as are those that do not fit.
func (c DashboardContent) alarms(g *grid) {
	n := len(c.AlarmARNs)
	if n == 0 {
		g.text("No alarms: no key is watched.", 2)
		return
	}
	shown := c.AlarmARNs[:min(n, MaxDashboardAlarms)]
	title := fmt.Sprintf("Alarms (%d)", n)
	if n > len(shown) {
		title = fmt.Sprintf("Alarms (%d of %d)", len(shown), n)
		g.text(fmt.Sprintf("%d of %d alarms are shown; one widget takes %d. The other %d are in the CloudWatch console under Alarms.", len(shown), n, MaxDashboardAlarms, n-len(shown)), 2)
	}
	g.add("alarm", 24, 6, alarmProperties{Title: title, Alarms: shown, SortBy: "stateUpdatedTimestamp"})
}

// The two schemas of the metric. A schema matches the series with exactly
// these dimensions, so nothing is counted twice ("Monitor KMS keys with Amazon
// CloudWatch", KMS Developer Guide).
const (
	perKey  = `SCHEMA("AWS/KMS", KeyArn, Operation)`
	perPair = `SCHEMA("AWS/KMS", SourceKeyArn, DestinationKeyArn, Operation)`
)

// graph is one Metrics Insights query ("Metrics Insights query components and
// syntax", CloudWatch User Guide). ORDER BY SUM() ranks by the total, where the
// query in the KMS guide ranks by the highest peak. Without a label, CloudWatch
// names each line after its GROUP BY values: the ARN of the key.
func (c DashboardContent) graph(title, schema string, op Operation, by string) metricProperties {
	where := ""
	if op != "" {
		// In quotes, since OPERATION is a word that SQL dialects reserve, and a
		// reserved label key needs them ("Reserved keywords", CloudWatch User
		// Guide). The schemas are as the KMS guide writes them.
		where = ` WHERE "Operation" = '` + string(op) + "'"
	}
	query := fmt.Sprintf("SELECT SUM(%s) FROM %s%s GROUP BY %s ORDER BY SUM() DESC LIMIT %d", MetricName, schema, where, by, c.TopKeys)
	return metricProperties{
		Title: title, View: "timeSeries", Region: c.Region, Stat: "Sum", Period: dashboardPeriod,
		Metrics: [][]expression{{{Expression: query, ID: "q1", Period: dashboardPeriod}}},
		Legend:  legend{Position: "right"},
		YAxis:   yAxis{Left: axis{Label: "requests"}},
	}
}

// evidence shows how much of the month's error budget is spent, and what AWS said.
func (c DashboardContent) evidence(g *grid) {
	e := c.Evidence
	var alarms []string
	faults := []any{}
	for i, a := range e.Alarms() {
		alarms = append(alarms, e.arn("cloudwatch", "alarm:"+a.Name))
		if i == 0 { // that on faults
			faults = append(faults, a.Namespace, a.Metric)
			if a.Dimension != "" {
				faults = append(faults, a.Dimension, a.Value)
			}
		}
	}
	faults = append(faults, series{ID: "faults", Stat: "Sum"})
	g.text("## When KMS fails\n\nThe service level agreement allows a sum of error rates of "+e.Budget+" in a month of 30 days: that part of **one** interval of 5 minutes. The graph divides server faults by faults and successful requests; requests that were rejected are not in it, so it shows more rather than less. It begins 14 days ago, which is as far as such a query reaches. `keywatch sla report` computes a month exactly.", 4)
	g.row()
	g.add("metric", 12, 7, budgetProperties{
		Title: "Error budget: the sum of the error rates of the last 14 days", View: "timeSeries", Region: c.Region, Stat: "Sum", Period: dashboardPeriod, Start: "-P14D",
		Metrics: [][]any{
			{expression{Expression: "RUNNING_SUM(IF(FILL(faults,0)>0,FILL(faults,0)/(FILL(faults,0)+FILL(served,0)),0))", ID: "spent", Period: dashboardPeriod, Label: "spent"}},
			{hidden{expression{Expression: "SELECT SUM(" + MetricName + ") FROM " + perKey, ID: "served", Period: dashboardPeriod}, false}},
			faults,
		},
		Annotations: annotations{Horizontal: []annotation{{Label: "all of the month's budget", Value: json.Number(e.Budget)}}},
		YAxis:       yAxis{Left: axis{Label: "intervals"}},
	})
	g.add("log", 12, 7, logProperties{
		Title: "AWS Health events of KMS in " + c.Region, View: "table", Region: c.Region,
		Query: "SOURCE '" + e.LogGroup() + "' | fields detail.startTime, detail.endTime, detail.eventTypeCode, detail.eventTypeCategory, detail.eventArn | filter source = 'aws.health' | sort @timestamp desc | limit 20",
	})
	g.row()
	g.add("alarm", 24, 3, alarmProperties{Title: "Evidence", Alarms: alarms, SortBy: "stateUpdatedTimestamp"})
}

// The structures are encoded in the order of their fields, never of a map.
type (
	dashboardBody struct {
		Start          string   `json:"start"`
		PeriodOverride string   `json:"periodOverride"`
		Widgets        []widget `json:"widgets"`
	}
	widget struct {
		Type       string `json:"type"`
		X          int    `json:"x"`
		Y          int    `json:"y"`
		Width      int    `json:"width"`
		Height     int    `json:"height"`
		Properties any    `json:"properties"`
	}
	textProperties struct {
		Markdown string `json:"markdown"`
	}
	alarmProperties struct {
		Title  string   `json:"title"`
		Alarms []string `json:"alarms"`
		SortBy string   `json:"sortBy"`
	}
	metricProperties struct {
		Title   string         `json:"title"`
		View    string         `json:"view"`
		Stacked bool           `json:"stacked"`
		Region  string         `json:"region"`
		Stat    string         `json:"stat"`
		Period  int            `json:"period"`
		Metrics [][]expression `json:"metrics"`
		Legend  legend         `json:"legend"`
		YAxis   yAxis          `json:"yAxis"`
	}
	expression struct {
		Expression string `json:"expression"`
		ID         string `json:"id"`
		Period     int    `json:"period"`
		Label      string `json:"label,omitempty"`
	}
	hidden struct {
		expression
		Visible bool `json:"visible"`
	}
	series struct {
		ID      string `json:"id"`
		Stat    string `json:"stat"`
		Visible bool   `json:"visible"`
	}
	budgetProperties struct {
		Title       string      `json:"title"`
		View        string      `json:"view"`
		Stacked     bool        `json:"stacked"`
		Region      string      `json:"region"`
		Stat        string      `json:"stat"`
		Period      int         `json:"period"`
		Start       string      `json:"start"`
		Metrics     [][]any     `json:"metrics"`
		Annotations annotations `json:"annotations"`
		YAxis       yAxis       `json:"yAxis"`
	}
	annotations struct {
		Horizontal []annotation `json:"horizontal"`
	}
	annotation struct {
		Label string      `json:"label"`
		Value json.Number `json:"value"`
	}
	logProperties struct {
		Title  string `json:"title"`
		View   string `json:"view"`
		Region string `json:"region"`
		Query  string `json:"query"`
	}
	legend struct {
		Position string `json:"position"`
	}
	yAxis struct {
		Left axis `json:"left"`
	}
	axis struct {
		Label     string `json:"label"`
		Min       int    `json:"min"`
		ShowUnits bool   `json:"showUnits"`
	}
)

// grid places widgets from left to right and top to bottom in the 24 columns
// of a dashboard.
type grid struct {
	widgets      []widget
	x, y, height int
}

func (g *grid) text(markdown string, height int) {
	g.row()
	g.add("text", 24, height, textProperties{markdown})
}

func (g *grid) graph(width, height int, p metricProperties) { g.add("metric", width, height, p) }

func (g *grid) add(kind string, width, height int, properties any) {
	if g.x+width > 24 {
		g.row()
	}
	g.widgets = append(g.widgets, widget{kind, g.x, g.y, width, height, properties})
	g.x, g.height = g.x+width, max(g.height, height)
}

func (g *grid) row() { g.x, g.y, g.height = 0, g.y+g.height, 0 }

// encode leaves <, > and & as they are: nobody puts a dashboard into HTML.
func encode(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // plain strings and numbers always encode
	}
	return strings.TrimSuffix(b.String(), "\n")
}
