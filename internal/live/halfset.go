package live

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
)

// halves are the variables that name credentials, with what is said when all the
// same there are none. The SDK passes over one without its other half in silence.
var halves = []struct{ name, said string }{
	{"AWS_ACCESS_KEY_ID", "without a whole AWS_SECRET_ACCESS_KEY beside it"},
	{"AWS_SECRET_ACCESS_KEY", "without a whole AWS_ACCESS_KEY_ID beside it"},
	{"AWS_SESSION_TOKEN", "without AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"},
	{"AWS_PROFILE", "to %q, a profile without credentials"},
	{"AWS_DEFAULT_PROFILE", "to %q, a profile without credentials"},
	{"AWS_ROLE_ARN", "without AWS_WEB_IDENTITY_TOKEN_FILE"},
	{"AWS_WEB_IDENTITY_TOKEN_FILE", "without AWS_ROLE_ARN"},
	{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "and gives none"},
	{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "and gives none"},
}

// halfSet says what in the environment or in the files of AWS names credentials,
// or may do so, when the chain found none: somebody means to give some. It is ""
// if nothing does.
func halfSet(getenv func(string) string) string {
	if getenv == nil {
		return ""
	}
	for _, h := range halves {
		switch value := getenv(h.name); {
		case value == "":
		case strings.Contains(h.said, "%q"):
			return h.name + " is set " + fmt.Sprintf(h.said, value)
		default: // it may be a secret
			return h.name + " is set " + h.said
		}
	}
	for _, f := range []struct{ variable, otherwise string }{
		{"AWS_CONFIG_FILE", config.DefaultSharedConfigFilename()},
		{"AWS_SHARED_CREDENTIALS_FILE", config.DefaultSharedCredentialsFilename()},
	} {
		named := getenv(f.variable)
		path := cmp.Or(named, f.otherwise)
		data, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && named == "":
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Sprintf("%s names %s, and there is no such file", f.variable, path)
		case err != nil: // the SDK takes such a file for an empty one
			return fmt.Sprintf("%s cannot be read: %v", path, err)
		default:
			if what := halfWritten(string(data)); what != "" {
				return path + what
			}
		}
	}
	return ""
}

// credentialSetting is a setting of a profile that is about credentials.
var credentialSetting = regexp.MustCompile(`^(?i:aws_(access_key_id|secret_access_key|session_token)|role_arn|source_profile|credential_(source|process)|web_identity_token_file|sso_\w+|login_session)$`)

// halfWritten looks in a file for what the SDK does not heed: lines that are
// nothing it knows, and settings of the default profile that give no credentials.
func halfWritten(text string) string {
	section := ""
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		name, _, setting := strings.Cut(trimmed, "=")
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
		case trimmed[0] == '[' && strings.Contains(trimmed, "]"):
			section = strings.TrimSpace(trimmed[1:strings.IndexByte(trimmed, ']')])
		case section == "" || !setting && line[0] != ' ' && line[0] != '\t': // the rest of a value is indented
			return fmt.Sprintf(" cannot be parsed: line %d is neither a [profile] nor a setting of one", i+1)
		case (section == "default" || section == "profile default") && credentialSetting.MatchString(strings.TrimSpace(name)):
			return fmt.Sprintf(" has %s in the default profile, which has no whole credentials", strings.TrimSpace(name))
		}
	}
	return ""
}
