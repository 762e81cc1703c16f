package config

// This file declares what keywatch.yaml may hold, for [Schema]: each struct is a
// mapping, each field a key of it. The tags say what an editor shows and checks:
//
//	yaml      the key; with ",required" it must be there
//	doc       what it means
//	default   what it is when left out, as JSON
//	enum      the words that are allowed, with commas between them
//	min, max  of a number; of the length of a list or text
//	over      a number must be above this
//	pattern   what a text must look like
//	example   what to write, as JSON; several with | between them
//	each      what a value of the mapping means, with %s for its key
//	off       "yes": off or false switches it off
//
// The loader is written by hand, for its messages. That it knows these names and
// no others, and means the same by them, is what TestTheLoaderHasThisShape and
// its neighbours hold.

type fileShape struct {
	Version      versionShape       `yaml:"version,required" doc:"The version of this format."`
	Name         string             `yaml:"name" default:"\"keywatch\"" pattern:"^[a-z][a-z0-9-]{0,31}$" doc:"Begins the name of each stack, alarm and dashboard. Two deployments in one account and region need two names."`
	Environments []environmentShape `yaml:"environments" min:"1" max:"1000" doc:"The accounts and regions that this config is for. Left out: what the CDK CLI resolved."`
	Inventory    inventoryShape     `yaml:"inventory" doc:"Where keys come from."`
	Limits       limitsShape        `yaml:"limits" doc:"What a plan may not exceed, per account and region."`
	Detector     string             `yaml:"detector" enum:"managed,cloudwatch" default:"\"managed\"" doc:"Who makes the anomaly detectors: keywatch, or CloudWatch when it first evaluates an alarm."`
	RequireMatch bool               `yaml:"requireMatch" default:"false" doc:"Whether an account and region without a watched key is an error."`
	Findings     findingsShape      `yaml:"findings" doc:"What becomes of each finding on the rule set."`
	Defaults     outcomeShape       `yaml:"defaults" doc:"What a rule that watches makes, as far as it does not say so itself."`
	Rules        []ruleShape        `yaml:"rules,required" min:"1" max:"1000" doc:"In order: the first rule that matches a key decides, unless it says continue: true."`
	Exceptions   []exceptionShape   `yaml:"exceptions" doc:"Keys that are taken out of what the rules say, for a time and a reason."`
	Dashboard    dashboardShape     `yaml:"dashboard" off:"yes" doc:"The dashboard of the busiest keys; off makes none."`
	SLA          slaShape           `yaml:"sla" doc:"What is kept for a claim under the KMS service level agreement."`
}

type environmentShape struct {
	Account string    `yaml:"account,required" pattern:"^[0-9]{12}$" example:"\"111122223333\"" doc:"The account ID: 12 digits, in quotes."`
	Region  string    `yaml:"region,required" pattern:"^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$" example:"\"eu-west-1\"" doc:"The region to read keys from and to deploy to."`
	Role    roleShape `yaml:"role" default:"\"none\"" example:"\"none\"|\"cdk-lookup\"|\"arn:{partition}:iam::{account}:role/keywatch-read\"" doc:"With whose permissions keys are read: the caller's own (none), those of the lookup role of cdk bootstrap (cdk-lookup), or those of a role (its ARN)."`
}

type inventoryShape struct {
	Source       string                  `yaml:"source" enum:"live,snapshot" default:"\"live\"" doc:"AWS, or a file that keywatch snapshot wrote."`
	Path         string                  `yaml:"path" min:"1" example:"\"snapshots/{account}-{region}.json\"" doc:"The snapshot. {account} and {region} in it are filled in."`
	Compare      string                  `yaml:"compare" enum:"auto,always,never" default:"\"auto\"" doc:"Whether a snapshot is held against the deployed stacks: when there are credentials (auto), always, or never."`
	MaxAge       ageShape                `yaml:"maxAge" default:"\"168h\"" doc:"The age from which on a snapshot is old; up to 8760h."`
	OnStale      string                  `yaml:"onStale" enum:"warn,fail" default:"\"warn\"" doc:"What an old snapshot means."`
	OnUnreadable string                  `yaml:"onUnreadable" enum:"fail,warn" default:"\"fail\"" doc:"What a key means that exists but may not be read."`
	Rates        map[ratedWord]rateShape `yaml:"rates" doc:"The most requests per second of an operation. Left out: half of the published quotas."`
	Timeout      timeoutShape            `yaml:"timeout" default:"\"30m\"" doc:"How long a run may read AWS; up to 24h."`
}

type rateShape struct {
	Value float64 `over:"0" max:"100000" doc:"Requests per second."`
}

type limitsShape struct {
	Alarms     int     `yaml:"alarms" min:"0" max:"10000000" default:"1000" doc:"The most alarms that a plan may make."`
	MonthlyUSD float64 `yaml:"monthlyUSD" min:"0" max:"1000000000" default:"300" doc:"The most that they may cost in a month, at list price."`
}

type dashboardShape struct {
	TopKeys int `yaml:"topKeys" min:"1" max:"500" default:"20" doc:"How many keys each list of the busiest keys shows."`
}

type slaShape struct {
	Evidence      bool           `yaml:"evidence" default:"false" doc:"Whether to deploy the stack that keeps server faults of KMS and AWS Health events."`
	RetentionDays retentionShape `yaml:"retentionDays" default:"400" doc:"How many days the evidence is kept."`
	TrailLogGroup string         `yaml:"trailLogGroup" pattern:"^[-._/#A-Za-z0-9]{1,512}$" example:"\"aws-cloudtrail-logs\"" doc:"The log group that a trail of the account writes to: faults are then counted there, and not kept again."`
	EncryptionKey string         `yaml:"encryptionKey" pattern:"^arn:(aws(-[a-z]+)*|\\{partition\\}):kms:([a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}|\\{region\\}):([0-9]{12}|\\{account\\}):key/[A-Za-z0-9-]+$" doc:"A KMS key for the log group. The evidence then depends on the service whose failure it records."`
	Actions       actionsShape   `yaml:"actions" doc:"Whom the alarms on server faults notify."`
}

type ruleShape struct {
	Name     string     `yaml:"name,required" pattern:"^[a-z0-9-]{1,32}$" doc:"Unique; shown by plan, explain and in each alarm's description."`
	Match    matchShape `yaml:"match,required" doc:"Which keys: a condition, or the word every."`
	Watch    bool       `yaml:"watch" default:"true" doc:"false: nobody watches these keys, which is a decision. Such a rule has only name and match beside it."`
	Continue bool       `yaml:"continue" default:"false" doc:"Whether later rules are asked too, and may add alarms."`
	outcomeShape
}

// outcomeShape is what to make: of a rule, and of defaults.
type outcomeShape struct {
	Operations   operationsShape                 `yaml:"operations" default:"\"core\"" doc:"For which operations there is an anomaly alarm: core (without the data key pair operations), applicable (all that the key can do), or a list."`
	Anomaly      anomalyShape                    `yaml:"anomaly" off:"yes" doc:"The anomaly alarm on each operation; off makes none."`
	PerOperation map[operationWord]settingsShape `yaml:"perOperation" off:"yes" each:"What differs from anomaly for %s; off makes no anomaly alarm on it." doc:"What differs from anomaly for single operations; off makes no anomaly alarm on it."`
	BandTag      bandTagShape                    `yaml:"bandTag" off:"yes" doc:"A tag by which a key sets the band of its anomaly alarms; off takes none."`
	Thresholds   []thresholdShape                `yaml:"thresholds" max:"20" doc:"Static alarms."`
	Actions      actionsShape                    `yaml:"actions" doc:"Whom an alarm notifies, by the state that it goes to."`
}

type anomalyShape struct {
	ID string `yaml:"id" default:"\"main\"" pattern:"^[a-z0-9-]{1,16}$" doc:"Tells alarms on the same key and operation apart."`
	settingsShape
}

type settingsShape struct {
	Direction string      `yaml:"direction" enum:"above,below,both" default:"\"above\"" doc:"On which side of the band a value is an anomaly."`
	Band      float64     `yaml:"band" over:"0" max:"100" default:"2" doc:"The width of the band in standard deviations: a plain decimal number with up to 6 decimals. Smaller is more sensitive."`
	Statistic string      `yaml:"statistic" enum:"Sum,SampleCount,Average,Minimum,Maximum" default:"\"Sum\"" doc:"What is made of the requests of a period. Sum is their number."`
	Period    periodShape `yaml:"period" default:"\"5m\"" doc:"The length of one datapoint: whole minutes, up to 1h."`
	Evaluate  int         `yaml:"evaluate" min:"1" max:"10080" default:"3" doc:"How many of the latest datapoints are looked at."`
	Breaching int         `yaml:"breaching" min:"1" max:"10080" default:"2" doc:"How many of them must be outside of the band."`
	Missing   string      `yaml:"missing" enum:"notBreaching,breaching,ignore,missing" default:"\"notBreaching\"" doc:"What a missing datapoint means. An idle key has none."`
}

type thresholdShape struct {
	ID         string          `yaml:"id" default:"\"main\"" pattern:"^[a-z0-9-]{1,16}$" doc:"Tells alarms on the same key and operations apart."`
	Operations []operationWord `yaml:"operations,required" min:"1" max:"10" doc:"Several are summed."`
	Above      float64         `yaml:"above,required" min:"0" doc:"The alarm fires when the sum of a period is above this."`
	Period     longPeriodShape `yaml:"period" default:"\"5m\"" doc:"The length of one datapoint: whole minutes, up to 168h."`
	Evaluate   int             `yaml:"evaluate" min:"1" max:"10080" default:"1" doc:"How many of the latest datapoints are looked at."`
	Breaching  int             `yaml:"breaching" min:"1" max:"10080" default:"1" doc:"How many of them must be above."`
	Missing    string          `yaml:"missing" enum:"notBreaching,breaching,ignore,missing" default:"\"notBreaching\"" doc:"What a missing datapoint means. An idle key has none."`
}

type bandTagShape struct {
	Tag         string  `yaml:"tag,required" min:"1" max:"128" doc:"The key of the tag. Its value is a band: a number above 0."`
	Min         float64 `yaml:"min" over:"0" max:"100" doc:"The narrowest band that the tag may put in place of a wider one. 1 if left out."`
	Max         float64 `yaml:"max" over:"0" max:"100" doc:"With allowLooser: the widest band that the tag may put in place of a narrower one."`
	AllowLooser bool    `yaml:"allowLooser" default:"false" doc:"Whether the tag may also widen the band, which makes the alarm see less."`
}

type actionsShape struct {
	Alarm            []actionShape `yaml:"alarm" max:"5" doc:"Notified when the alarm goes to ALARM."`
	OK               []actionShape `yaml:"ok" max:"5" doc:"Notified when the alarm goes to OK."`
	InsufficientData []actionShape `yaml:"insufficientData" max:"5" doc:"Notified when the alarm goes to INSUFFICIENT_DATA."`
}

type actionShape struct {
	Value string `pattern:"^arn:" max:"1024" example:"\"arn:{partition}:sns:{region}:{account}:pager\"" doc:"An ARN. {partition}, {region} and {account} are filled in."`
}

// findingsShape is a level for each code, or for all.
type findingsShape map[findingWord]levelShape

// levelShape is what becomes of a finding. Some readers of YAML take off for false.
type levelShape struct{}

type exceptionShape struct {
	Key         string    `yaml:"key,required" pattern:"^(alias/[a-zA-Z0-9/_-]{1,250}|(arn:aws(-[a-z]+)*:kms:[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}:[0-9]{12}:key/)?(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}))$" example:"\"1234abcd-12ab-34cd-56ef-1234567890ab\"|\"alias/legacy\"" doc:"A key ID, a key ARN, or an alias with alias/."`
	Environment string    `yaml:"environment" pattern:"^[0-9]{12}/[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$" example:"\"111122223333/eu-west-1\"" doc:"The only ACCOUNT/REGION that it is for. An alias needs this, or everywhere: true."`
	Everywhere  bool      `yaml:"everywhere" doc:"true: an alias of this name is meant in each account and region."`
	Written     timeShape `yaml:"written" doc:"When an exception by alias was written. One whose alias points to another key since then no longer holds."`
	Reason      string    `yaml:"reason,required" pattern:"\\S" max:"1000" doc:"Why the key is excepted."`
	Owner       string    `yaml:"owner,required" pattern:"\\S" doc:"Who answers for it."`
	Expires     dateShape `yaml:"expires,required" doc:"The last day on which it holds, in UTC."`
}

// conditionShape is one leaf, or one of all, any and not.
type conditionShape struct {
	All []conditionShape `yaml:"all" min:"1" doc:"Each of them matches."`
	Any []conditionShape `yaml:"any" min:"1" doc:"At least one of them matches."`
	Not conditionRef     `yaml:"not" doc:"It does not match."`

	Tag    string          `yaml:"tag" min:"1" max:"128" doc:"The key of a tag; beside it stands exactly one of equals, in, glob, regex, exists."`
	Equals string          `yaml:"equals" max:"256" doc:"The tag's value is this text. Case matters."`
	In     []tagValueShape `yaml:"in" min:"1" doc:"The tag's value is one of these."`
	Glob   string          `yaml:"glob" max:"1000" doc:"The pattern fits the tag's whole value: * any run, ? one character, […] one of these."`
	Regex  string          `yaml:"regex" max:"1000" doc:"The pattern (RE2) fits the tag's whole value."`
	Exists bool            `yaml:"exists" doc:"Whether the key has the tag."`

	Alias         aliasShape            `yaml:"alias" doc:"One of the key's aliases, which begin with alias/."`
	KeyID         keyIDShape            `yaml:"keyId" doc:"The key ID."`
	Usage         factShape[usageWord]  `yaml:"usage" doc:"The key usage."`
	Spec          factShape[specWord]   `yaml:"spec" doc:"The key spec."`
	Origin        factShape[originWord] `yaml:"origin" doc:"Where the key material comes from."`
	State         factShape[stateWord]  `yaml:"state" doc:"The key state."`
	MultiRegion   bool                  `yaml:"multiRegion" doc:"Whether the key is a multi-Region key."`
	CreatedBefore dateShape             `yaml:"createdBefore" doc:"The key was made before this day, in UTC."`
	CreatedAfter  dateShape             `yaml:"createdAfter" doc:"The key was made on this day or later, in UTC."`
}

type tagValueShape struct {
	Value string `max:"256"`
}

type aliasShape struct {
	Equals string            `yaml:"equals" pattern:"^alias/[a-zA-Z0-9/_-]+$" max:"256" example:"\"alias/payments-db\"" doc:"An alias is this text."`
	In     []aliasValueShape `yaml:"in" min:"1" doc:"An alias is one of these."`
	Glob   string            `yaml:"glob" max:"1000" example:"\"alias/pay-*\"" doc:"The pattern fits a whole alias."`
}

type aliasValueShape struct {
	Value string `pattern:"^alias/[a-zA-Z0-9/_-]+$" max:"256"`
}

type keyIDShape struct {
	Equals string            `yaml:"equals" pattern:"^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$" doc:"The key ID is this text."`
	In     []keyIDValueShape `yaml:"in" min:"1" doc:"The key ID is one of these."`
	Glob   string            `yaml:"glob" max:"1000" pattern:"^([0-9a-fkmr*?-]|\\\\[0-9a-fkmr-])*(\\[.*)?$" example:"\"mrk-*\"" doc:"The pattern fits the whole key ID."`
}

type keyIDValueShape struct {
	Value string `pattern:"^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"`
}

// factShape is a fact with known words.
type factShape[W wordShape] struct {
	Equals W      `yaml:"equals" doc:"It is this."`
	In     []W    `yaml:"in" min:"1" doc:"It is one of these."`
	Glob   string `yaml:"glob" max:"1000" doc:"The pattern fits the whole word."`
}

// wordShape is one of a few, which are too many for a tag, or declared elsewhere.
type wordShape interface{ words() []string }

type (
	operationWord string
	ratedWord     string
	findingWord   string
	usageWord     string
	specWord      string
	originWord    string
	stateWord     string
)

func (operationWord) words() []string { return watchableNames() }
func (ratedWord) words() []string     { return RatedOperations }

func (findingWord) words() []string { return append([]string{"all"}, FindingCodes...) }
func (usageWord) words() []string   { return Usage.Values() }
func (specWord) words() []string    { return Spec.Values() }
func (originWord) words() []string  { return Origin.Values() }
func (stateWord) words() []string   { return State.Values() }
