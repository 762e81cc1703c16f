package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"keywatch/constructs/spec"
)

// newDetector draws one AWS::CloudWatch::AnomalyDetector.
//
// Its policies differ on purpose. A detector's model belongs to the metric and
// the statistic, not to the resource: after a replacement both resources stand
// for the same model, and the clean-up of the old one would delete it. So a
// replacement retains, while removal from the template deletes.
func newDetector(scope constructs.Construct, d spec.Detector) awscloudwatch.CfnAnomalyDetector {
	r := awscloudwatch.NewCfnAnomalyDetector(scope, &d.ID, &awscloudwatch.CfnAnomalyDetectorProps{
		SingleMetricAnomalyDetector: &awscloudwatch.CfnAnomalyDetector_SingleMetricAnomalyDetectorProperty{
			Namespace:  jsii.String(spec.Namespace),
			MetricName: jsii.String(spec.MetricName),
			Dimensions: []any{
				&awscloudwatch.CfnAnomalyDetector_DimensionProperty{Name: jsii.String(spec.DimensionKeyARN), Value: &d.KeyARN},
				&awscloudwatch.CfnAnomalyDetector_DimensionProperty{Name: jsii.String(spec.DimensionOperation), Value: (*string)(&d.Operation)},
			},
			Stat: &d.Statistic,
		},
	})
	r.ApplyRemovalPolicy(awscdk.RemovalPolicy_DESTROY, &awscdk.RemovalPolicyOptions{ApplyToUpdateReplacePolicy: jsii.Bool(false)})
	r.AddOverride(jsii.String("UpdateReplacePolicy"), jsii.String("Retain"))
	return r
}
