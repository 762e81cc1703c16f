// The app that keywatch is measured beside: the same resources, written as one
// writes a CDK app in JavaScript.
//
//   node app.js DEPLOYMENT.json OUTDIR
//
// The file is a spec.Deployment of package keywatch/constructs/spec, as
// encoding/json writes it.
'use strict';

const { readFileSync } = require('node:fs');
const { App, CfnDeletionPolicy, Stack } = require('aws-cdk-lib');
const { CfnAlarm, CfnAnomalyDetector } = require('aws-cdk-lib/aws-cloudwatch');

const namespace = 'AWS/KMS';
const metricName = 'SuccessfulRequest';

const [file, outdir] = process.argv.slice(2);
const deployment = JSON.parse(readFileSync(file, 'utf8'));

// The settings are those of package keywatch/stacks.
const app = new App({
  outdir,
  analyticsReporting: false,
  autoSynth: false,
  treeMetadata: false,
  context: { '@aws-cdk/core:validateAgainstDefaultRules': true },
  postCliContext: {
    '@aws-cdk/core:appMode': 'inmemory',
    'aws:cdk:enable-path-metadata': false,
    'aws:cdk:disable-logicalId-metadata': true,
    'aws:cdk:disable-stack-trace': true,
    'aws:cdk:disable-creation-stack-traces': true,
  },
});

for (const shard of deployment.Shards) {
  const stack = new Stack(app, `${shard.StackName}@${deployment.Account}-${deployment.Region}`, {
    stackName: shard.StackName,
    description: shard.Description,
    env: { account: deployment.Account, region: deployment.Region },
    tags: { 'keywatch:deployment': deployment.Name, 'keywatch:stack': 'alarms' },
  });
  for (const unit of shard.Units) {
    draw(stack, unit);
  }
}

app.synth();

function draw(stack, unit) {
  const detectors = new Map();
  for (const d of unit.Detectors) {
    detectors.set(d.ID, detector(stack, d));
  }
  for (const a of unit.Alarms) {
    alarm(stack, a).addResourceDependency(detectors.get(a.DetectorID));
  }
}

function detector(stack, d) {
  const resource = new CfnAnomalyDetector(stack, d.ID, {
    singleMetricAnomalyDetector: { namespace, metricName, dimensions: dimensions(d), stat: d.Statistic },
  });
  resource.cfnOptions.deletionPolicy = CfnDeletionPolicy.DELETE;
  resource.cfnOptions.updateReplacePolicy = CfnDeletionPolicy.RETAIN;
  return resource;
}

function alarm(stack, a) {
  return new CfnAlarm(stack, a.ID, {
    alarmName: a.Name,
    alarmDescription: a.Description,
    metrics: a.Queries.map(query),
    thresholdMetricId: a.ThresholdMetricID,
    comparisonOperator: a.Operator,
    evaluationPeriods: a.EvaluationPeriods,
    datapointsToAlarm: a.DatapointsToAlarm,
    treatMissingData: a.TreatMissingData,
    alarmActions: a.Actions.Alarm,
  });
}

function query(q) {
  if (!q.Operation) {
    return { id: q.ID, expression: q.Expression, returnData: q.ReturnData };
  }
  return {
    id: q.ID,
    metricStat: {
      metric: { namespace, metricName, dimensions: dimensions(q) },
      period: q.Period / 1e9, // of nanoseconds
      stat: q.Statistic,
    },
    returnData: q.ReturnData,
  };
}

function dimensions({ KeyARN, Operation }) {
  return [{ name: 'KeyArn', value: KeyARN }, { name: 'Operation', value: Operation }];
}
