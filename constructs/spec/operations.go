package spec

import (
	"slices"
	"strings"
)

// The cryptographic operations that KMS counts per key: the values of
// KeyLastUsageTrackingOperation (GetKeyLastUsage, KMS API Reference).
const (
	Decrypt                             Operation = "Decrypt"
	DeriveSharedSecret                  Operation = "DeriveSharedSecret"
	Encrypt                             Operation = "Encrypt"
	GenerateDataKey                     Operation = "GenerateDataKey"
	GenerateDataKeyPair                 Operation = "GenerateDataKeyPair"
	GenerateDataKeyPairWithoutPlaintext Operation = "GenerateDataKeyPairWithoutPlaintext"
	GenerateDataKeyWithoutPlaintext     Operation = "GenerateDataKeyWithoutPlaintext"
	GenerateMac                         Operation = "GenerateMac"
	Sign                                Operation = "Sign"
	Verify                              Operation = "Verify"
	VerifyMac                           Operation = "VerifyMac"

	// ReEncrypt has no (KeyArn, Operation) series: its dimensions are
	// SourceKeyArn, DestinationKeyArn and Operation ("Monitor KMS keys with
	// Amazon CloudWatch", KMS Developer Guide). It is never in a list below.
	ReEncrypt Operation = "ReEncrypt"
)

// The metric that every alarm watches.
const (
	Namespace          = "AWS/KMS"
	MetricName         = "SuccessfulRequest"
	DimensionKeyARN    = "KeyArn"
	DimensionOperation = "Operation"
)

var watchable = []Operation{
	Decrypt, DeriveSharedSecret, Encrypt, GenerateDataKey, GenerateDataKeyPair,
	GenerateDataKeyPairWithoutPlaintext, GenerateDataKeyWithoutPlaintext,
	GenerateMac, Sign, Verify, VerifyMac,
}

// Watchable is every operation that has a series per key, sorted.
func Watchable() []Operation { return slices.Clone(watchable) }

// IsWatchable says whether the operation has a series per key.
func IsWatchable(o Operation) bool { return slices.Contains(watchable, o) }

// The KeyUsage values (CreateKey, KMS API Reference).
const (
	UsageEncryptDecrypt    = "ENCRYPT_DECRYPT"
	UsageSignVerify        = "SIGN_VERIFY"
	UsageGenerateVerifyMac = "GENERATE_VERIFY_MAC"
	UsageKeyAgreement      = "KEY_AGREEMENT"

	SpecSymmetricDefault = "SYMMETRIC_DEFAULT"
)

// Applicable lists, sorted, the watchable operations that a key of this usage
// and spec can do, and whether the pair is known. KMS adds key specs: an
// unknown pair is a reason not to watch, never a failure. Source: the tables
// under "Key spec reference" in the KMS Developer Guide.
func Applicable(usage, keySpec string) ([]Operation, bool) {
	ops := applicable(usage, keySpec)
	return slices.Clone(ops), ops != nil
}

// IsKnown says whether Applicable knows the pair.
func IsKnown(usage, keySpec string) bool { return applicable(usage, keySpec) != nil }

var (
	encryptDecrypt = []Operation{Decrypt, Encrypt}
	symmetric      = []Operation{
		Decrypt, Encrypt, GenerateDataKey, GenerateDataKeyPair,
		GenerateDataKeyPairWithoutPlaintext, GenerateDataKeyWithoutPlaintext,
	}
	signVerify        = []Operation{Sign, Verify}
	generateVerifyMac = []Operation{GenerateMac, VerifyMac}
	keyAgreement      = []Operation{DeriveSharedSecret}
)

// applicable is one of the lists above, or nil.
func applicable(usage, keySpec string) []Operation {
	switch usage {
	case UsageEncryptDecrypt:
		switch {
		case keySpec == SpecSymmetricDefault:
			return symmetric
		case isRSA(keySpec) || keySpec == "SM2":
			return encryptDecrypt
		}
	case UsageSignVerify:
		if isRSA(keySpec) || isNISTCurve(keySpec) || slices.Contains([]string{
			"ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519", "ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "SM2",
		}, keySpec) {
			return signVerify
		}
	case UsageGenerateVerifyMac:
		if slices.Contains([]string{"HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512"}, keySpec) {
			return generateVerifyMac
		}
	case UsageKeyAgreement:
		if isNISTCurve(keySpec) || keySpec == "SM2" {
			return keyAgreement
		}
	}
	return nil
}

// Core is Applicable without the two data key pair operations, which few keys
// see and whose alarms would mostly sleep.
func Core(usage, keySpec string) ([]Operation, bool) {
	ops, ok := Applicable(usage, keySpec)
	return withoutPairs(ops), ok
}

// WatchableCore is every operation that is core for some key, sorted.
func WatchableCore() []Operation { return withoutPairs(Watchable()) }

func withoutPairs(ops []Operation) []Operation {
	return slices.DeleteFunc(ops, func(o Operation) bool {
		return o == GenerateDataKeyPair || o == GenerateDataKeyPairWithoutPlaintext
	})
}

func isRSA(s string) bool {
	return s == "RSA_2048" || s == "RSA_3072" || s == "RSA_4096"
}

func isNISTCurve(s string) bool {
	return s == "ECC_NIST_P256" || s == "ECC_NIST_P384" || s == "ECC_NIST_P521"
}

// JoinOperations joins operations for a reader: "Decrypt+Encrypt".
func JoinOperations(ops []Operation, sep string) string {
	var b strings.Builder
	for i, o := range ops {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(string(o))
	}
	return b.String()
}
