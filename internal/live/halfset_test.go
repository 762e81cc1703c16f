package live

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keywatch/internal/inventory"
	"keywatch/test/fakeaws"
)

// Nobody gives credentials only if nothing names any: a half is a slip, and a
// comparison that is left out for it is a guard that is off.
func TestHalfSetCredentialsAreNotNone(t *testing.T) {
	const empty = "[default]\nregion = eu-west-1\n"
	tests := map[string]struct {
		variable, value string
		config          string
		text            string // after "no usable AWS credentials: "; "": nothing names any
	}{
		"nothing":                        {config: empty},
		"no file at all":                 {},
		"an empty variable":              {"AWS_SECRET_ACCESS_KEY", "", empty, ""},
		"comments and another profile":   {config: "# a\n ; b\n\n[default] # c\nregion = eu-west-1\ns3 =\n  max_queue_size = 5\n\n[profile other]\naws_access_key_id = A\naws_secret_access_key = B\n"},
		"a key ID alone":                 {"AWS_ACCESS_KEY_ID", "A", empty, "AWS_ACCESS_KEY_ID is set without a whole AWS_SECRET_ACCESS_KEY beside it"},
		"a secret alone":                 {"AWS_SECRET_ACCESS_KEY", fakeaws.SecretKey, empty, "AWS_SECRET_ACCESS_KEY is set without a whole AWS_ACCESS_KEY_ID beside it"},
		"a session token alone":          {"AWS_SESSION_TOKEN", fakeaws.SessionToken, empty, "AWS_SESSION_TOKEN is set without AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"},
		"a profile with a region alone":  {"AWS_PROFILE", "default", empty, `AWS_PROFILE is set to "default", a profile without credentials`},
		"the other variable of profiles": {"AWS_DEFAULT_PROFILE", "default", empty, `AWS_DEFAULT_PROFILE is set to "default", a profile without credentials`},
		"a role without a token":         {"AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/r", empty, "AWS_ROLE_ARN is set without AWS_WEB_IDENTITY_TOKEN_FILE"},
		"a file that is not there":       {"AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials", empty, "AWS_SHARED_CREDENTIALS_FILE names /nowhere/credentials, and there is no such file"},
		"a token in the default profile": {config: empty + "aws_session_token = " + fakeaws.SessionToken + "\n", text: "<file> has aws_session_token in the default profile, which has no whole credentials"},
		"a file that is no such file":    {config: "<html>\n", text: "<file> cannot be parsed: line 1 is neither a [profile] nor a setting of one"},
		"a setting without a profile":    {config: "region = eu-west-1\n", text: "<file> cannot be parsed: line 1 is neither a [profile] nor a setting of one"},
		"a header that is not closed":    {config: "[default\naws_access_key_id = A\naws_secret_access_key = B\n", text: "<file> cannot be parsed: line 1 is neither a [profile] nor a setting of one"},
		"JSON":                           {config: "{\n  \"AccessKeyId\": \"A\"\n}\n", text: "<file> cannot be parsed: line 1 is neither a [profile] nor a setting of one"},
		"a line that says nothing":       {config: empty + "aws_access_key_id A\n", text: "<file> cannot be parsed: line 3 is neither a [profile] nor a setting of one"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			files(t, fakeaws.Start(t, fakeaws.State{}), "", tt.config)
			path := os.Getenv("AWS_CONFIG_FILE")
			if tt.variable != "" {
				t.Setenv(tt.variable, tt.value)
			}
			if name == "no file at all" { // HOME is an empty folder
				t.Setenv("AWS_CONFIG_FILE", "")
				t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "")
			}
			o := quick()
			o.Region, o.Getenv = region, os.Getenv
			err := callerError(t, o)
			if none := errors.Is(err, inventory.ErrNoCredentials); none != (tt.text == "") {
				t.Errorf("none is %v: %v", none, err)
			}
			if tt.text != "" {
				wantError(t, err, NoCredentials, "get caller identity in eu-west-1: no usable AWS credentials: "+strings.Replace(tt.text, "<file>", path, 1))
				wantHint(t, err, mend)
			}
			wantNoSecret(t, err)
		})
	}
}

const mend = "complete the credentials in the environment, or in the AWS profile and its files, or unset what names them"

// What the SDK itself refuses says how to mend it, too.
func TestCredentialsThatTheSDKCannotTake(t *testing.T) {
	tests := map[string]struct{ variable, value, config string }{
		"half a pair in the default profile": {"", "", "[default]\nregion = eu-west-1\naws_access_key_id = A\n"},
		"a part of an SSO session":           {"", "", "[default]\nregion = eu-west-1\nsso_account_id = 111122223333\n"},
		"half a pair in a named profile":     {"AWS_PROFILE", "p", "[profile p]\nregion = eu-west-1\naws_secret_access_key = " + fakeaws.SecretKey + "\n"},
		"a token file without a role":        {"AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere", "[default]\nregion = eu-west-1\n"},
		"a container that is no URL":         {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "nowhere", "[default]\nregion = eu-west-1\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			files(t, fakeaws.Start(t, fakeaws.State{}), "", tt.config)
			if tt.variable != "" {
				t.Setenv(tt.variable, tt.value)
			}
			o := quick()
			o.Getenv = os.Getenv
			err := callerError(t, o)
			if errors.Is(err, inventory.ErrNoCredentials) {
				t.Errorf("none: %v", err)
			}
			wantHint(t, err, mend)
			wantNoSecret(t, err)
		})
	}
}

// A file that nobody may read is an empty one to the SDK.
func TestAFileThatCannotBeReadMayHoldCredentials(t *testing.T) {
	files(t, fakeaws.Start(t, fakeaws.State{}), "", "")
	t.Setenv("AWS_CONFIG_FILE", "")
	if err := os.MkdirAll(filepath.Join(os.Getenv("HOME"), ".aws", "config"), 0o700); err != nil { // a folder cannot, by whomever
		t.Fatal(err)
	}
	if got := halfSet(os.Getenv); !strings.Contains(got, ".aws/config cannot be read: ") {
		t.Errorf("got %q", got)
	}
}
