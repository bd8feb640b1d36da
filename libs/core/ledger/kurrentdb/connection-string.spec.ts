import { describe, expect, test } from '@jest/globals';
import { BadConnectionString, parseConnectionString } from './connection-string.js';

describe('a connection string', () => {
  test('of a cluster behind TLS', () => {
    const text =
      'esdb://ledger:p%40ss%3A@a.example:2113,b.example,10.0.0.3:2114?tlsCAFile=%2Fetc%2Fca.crt&NodePreference=Leader&gossip_timeout=3';
    expect(parseConnectionString(text)).toEqual({
      hosts: [
        { address: 'a.example', port: 2113 },
        { address: 'b.example', port: 2113 },
        { address: '10.0.0.3', port: 2114 },
      ],
      discover: false,
      user: { username: 'ledger', password: 'p@ss:' },
      options: { tls: true, tlsCAFile: '/etc/ca.crt', nodePreference: 'leader', gossipTimeout: 3 },
    });
  });

  test('of a name behind which a cluster is found', () => {
    expect(parseConnectionString('esdb+discover://cluster.example/?tls=false')).toEqual({
      hosts: [{ address: 'cluster.example', port: 2113 }],
      discover: true,
      user: undefined,
      options: { tls: false },
    });
  });

  test('by the newer name of the scheme', () => {
    expect(parseConnectionString('kurrentdb://localhost:2113?defaultDeadline=5000')).toMatchObject({
      hosts: [{ address: 'localhost', port: 2113 }],
      options: { tls: true },
    });
  });

  const bad: [string, RegExp][] = [
    ['postgres://localhost', /must be esdb:/],
    ['esdb://', /must be esdb:/],
    ['esdb://user:pa@ss@host', /must be esdb:|host that is none/],
    ['esdb://u:secret@host:99999', /host that is none/],
    ['esdb://u:secret@a,b:x', /host that is none/],
    ['esdb+discover://u:secret@a,b', /one host/],
    ['esdb://u:secret@host?tls=yes', /tls, which must be true or false/],
    ['esdb://u:secret@host?tlsVerifyCert=false', /tlsVerifyCert=false, which is not supported/],
    ['esdb://u:secret@host?throwOnAppendFailure=false', /throwOnAppendFailure=false/],
    ['esdb://u:secret@host?nodePreference=best', /nodePreference, which must be one of leader/],
    [
      'esdb://u:secret@host?keepAliveInterval=-1',
      /keepAliveInterval, which must be a whole number/,
    ],
    ['esdb://u:secret@host?sercret=secret', /not known: sercret/],
    ['esdb://u:secret@host?s3cret-secret', /not known: \(not shown\)/],
    ['esdb://u:secret@host?userCertFile=a', /together/],
    ['esdb://u:se%cret@host', /password that is not percent-encoded/],
  ];
  test.each(bad)('%s is refused, and not repeated', (text, reason) => {
    const parse = () => parseConnectionString(text);
    expect(parse).toThrow(BadConnectionString);
    expect(parse).toThrow(reason);
    expect(parse).not.toThrow(/secret/);
  });
});
