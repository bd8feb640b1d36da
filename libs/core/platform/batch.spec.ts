import { expect, it } from '@jest/globals';
import { Batch } from './batch.js';

/** A batch whose sending is answered when the test says so; every question is answered by itself. */
function held() {
  const sent: (readonly string[])[] = [];
  const answers: (() => void)[] = [];
  const send = (asked: readonly string[]) => {
    sent.push(asked);
    return new Promise<readonly string[]>((resolve, reject) => {
      answers.push(() => (asked.includes('bad') ? reject(new Error('refused')) : resolve(asked)));
    });
  };
  const answer = async () => {
    while (answers.length === 0) await new Promise(setImmediate);
    answers.shift()?.();
    await new Promise(setImmediate);
  };
  return { sent, send, answer };
}

it('sends what is asked in one turn together, and what comes meanwhile in the next', async () => {
  const { sent, send, answer } = held();
  const batch = new Batch(send);
  const first = ['a', 'b'].map((one) => batch.add(one));
  await new Promise(setImmediate);
  const second = ['c', 'd'].map((one) => batch.add(one));
  await answer();
  await answer();
  await expect(Promise.all([...first, ...second])).resolves.toEqual(['a', 'b', 'c', 'd']);
  expect(sent).toEqual([
    ['a', 'b'],
    ['c', 'd'],
  ]);
});

it('sends no more at once than its limit', async () => {
  const { sent, send, answer } = held();
  const batch = new Batch(send, undefined, 2);
  const answered = Promise.all(['a', 'b', 'c'].map((one) => batch.add(one)));
  await answer();
  await answer();
  await expect(answered).resolves.toEqual(['a', 'b', 'c']);
  expect(sent).toEqual([['a', 'b'], ['c']]);
});

it('keeps two of one key apart, in their order', async () => {
  const { sent, send, answer } = held();
  const batch = new Batch(send, (asked) => asked.slice(0, 1));
  const answered = Promise.all(['a1', 'b1', 'a2'].map((one) => batch.add(one)));
  await answer();
  await answer();
  await expect(answered).resolves.toEqual(['a1', 'b1', 'a2']);
  expect(sent).toEqual([['a1', 'b1'], ['a2']]);
});

it('fails those who travelled together, and nobody after them', async () => {
  const { send, answer } = held();
  const batch = new Batch(send);
  const outcomes = ['bad', 'beside'].map((one) => batch.add(one).catch(String));
  await answer();
  await expect(Promise.all(outcomes)).resolves.toEqual(['Error: refused', 'Error: refused']);
  const after = batch.add('good');
  await answer();
  await expect(after).resolves.toBe('good');
});
