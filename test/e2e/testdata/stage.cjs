// Loaded into every Node process of a synth (node --require). It tells the test,
// through the pipe $STAGE_PIPE, which processes there are and that the stage
// $STAGE is reached, and then holds that stage for ever, as a Node that is at
// work does: no timer and no message gets through, only a signal.
const fs = require('fs');

const kernel = process.argv[1].endsWith('program.js'); // of jsii's two processes
const pipe = fs.openSync(process.env.STAGE_PIPE, 'w'); // open until the process ends
const tell = (line) => fs.writeSync(pipe, line + '\n');
tell(`process ${process.pid} of ${process.ppid}`);

let reached = false;
function stage(name) {
  if (reached || name !== process.env.STAGE) return;
  reached = true;
  tell('reached');
  if (process.env.STAGE_CRASH) {
    process.stderr.write('trouble in Node\n');
    process.kill(process.pid, 'SIGKILL');
  }
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

// after calls the original and then says whether that was a stage.
function after(name, at) {
  const original = fs[name];
  fs[name] = (...args) => {
    const result = original(...args);
    at(args, result);
    return result;
  };
}

if (!kernel) {
  stage('Node starts');
} else {
  stage('the kernel starts');
  after('mkdtempSync', ([prefix]) => { if (prefix.includes('jsii-kernel-')) stage('the CDK is loaded'); });
  after('readSync', ([, buffer], n) => {
    if (buffer.toString('utf8', 0, n).includes('aws_cloudwatch.CfnAlarm')) stage('constructs are drawn');
  });
  after('writeFileSync', ([path]) => { if (String(path).endsWith('.template.json')) stage('the assembly is written'); });
}
