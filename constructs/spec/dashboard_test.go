package spec

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func content(alarms int) DashboardContent {
	c := DashboardContent{Region: "eu-west-1", Account: "111122223333", TopKeys: 20}
	for i := range alarms {
		c.AlarmARNs = append(c.AlarmARNs, fmt.Sprintf("arn:aws:cloudwatch:eu-west-1:111122223333:alarm:a%05d", i))
	}
	return c
}

type placed struct {
	Type                string
	X, Y, Width, Height int
	Properties          map[string]any
}

func widgets(t *testing.T, body string) []placed {
	t.Helper()
	var b struct{ Widgets []placed }
	if err := json.Unmarshal([]byte(body), &b); err != nil {
		t.Fatal(err)
	}
	return b.Widgets
}

func TestAlarmsOnTheDashboard(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		alarms, shown int
		words         string
	}{
		{0, 0, "No alarms: no key is watched."},
		{1, 1, ""},
		{100, 100, ""},
		{101, 100, "100 of 101 alarms are shown; one widget takes 100. The other 1 are in the CloudWatch console under Alarms."},
		{10000, 100, "The other 9900 are in the CloudWatch console"},
	} {
		t.Run(fmt.Sprint(c.alarms), func(t *testing.T) {
			t.Parallel()
			body := content(c.alarms).Body()
			shown, texts := 0, 0
			for _, w := range widgets(t, body) {
				switch w.Type {
				case "alarm":
					// A widget without alarms is refused by CloudWatch.
					if shown = len(w.Properties["alarms"].([]any)); shown == 0 {
						t.Error("a widget without alarms")
					}
				case "text":
					texts++
				}
			}
			if shown != c.shown || !strings.Contains(body, c.words) || (c.words == "") != (texts == 1) {
				t.Errorf("%d alarms shown and %d texts, want %d and the words %q:\n%s", shown, texts, c.shown, c.words, body)
			}
		})
	}
}

// Widgets may not overlap: CloudWatch would move one of them.
func TestWidgetsDoNotOverlap(t *testing.T) {
	t.Parallel()
	taken := map[[2]int]string{}
	for _, w := range widgets(t, content(101).Body()) {
		if w.X+w.Width > 24 {
			t.Errorf("%v is over the edge", w)
		}
		for x := w.X; x < w.X+w.Width; x++ {
			for y := w.Y; y < w.Y+w.Height; y++ {
				if other, ok := taken[[2]int{x, y}]; ok {
					t.Fatalf("%v is on %s", w, other)
				}
				taken[[2]int{x, y}] = w.Type
			}
		}
	}
}

func TestEveryOperationHasItsQuery(t *testing.T) {
	t.Parallel()
	body := content(0).Body()
	for _, op := range Watchable() {
		if n := strings.Count(body, `WHERE \"Operation\" = '`+string(op)+`' `); n != 1 {
			t.Errorf("%d queries for %s", n, op)
		}
	}
	if strings.Contains(body, "ReEncrypt'") {
		t.Error("ReEncrypt is asked for in the schema that does not have it")
	}
}

func TestBodyStaysUnderTheLimit(t *testing.T) {
	t.Parallel()
	c := content(0)
	c.TopKeys = MaxTopKeys
	for range 5000 {
		c.AlarmARNs = append(c.AlarmARNs, "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:"+strings.Repeat("\U0001F511", MaxAlarmName))
	}
	if n := len(c.Body()); n > MaxDashboardBody {
		t.Errorf("the body has %d bytes", n)
	}
}

// Tokens pass through the JSON unharmed, so that the CDK finds them.
func TestBodyKeepsTokens(t *testing.T) {
	t.Parallel()
	c := content(0)
	c.Region, c.AlarmARNs = "${Token[AWS.Region.4]}", []string{"${Token[TOKEN.9]}"}
	body := c.Body()
	if !strings.Contains(body, `"region":"${Token[AWS.Region.4]}"`) || !strings.Contains(body, `["${Token[TOKEN.9]}"]`) {
		t.Error(body)
	}
}
