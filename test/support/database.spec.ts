import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { freshDatabase } from './database.js';
import type { FreshDatabase } from './database.js';

describe('a fresh database', () => {
  let database: FreshDatabase;
  let other: FreshDatabase;

  beforeAll(async () => {
    [database, other] = await Promise.all([freshDatabase(), freshDatabase()]);
  });
  afterAll(async () => {
    await Promise.all([database.drop(), other.drop()]);
  });

  async function ask(url: string, sql: string): Promise<unknown[]> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query({ text: sql, rowMode: 'array' })).rows.flat();
    } finally {
      await client.end();
    }
  }

  test('is empty, UTF-8 and its own', async () => {
    await ask(database.url, 'CREATE TABLE thing (id int)');
    const tables = "SELECT count(*)::int FROM pg_tables WHERE schemaname = 'public'";
    expect(await ask(database.url, tables)).toEqual([1]);
    expect(await ask(other.url, tables)).toEqual([0]);
    expect(await ask(database.url, 'SHOW server_encoding')).toEqual(['UTF8']);
  });

  test('can be dropped while somebody is connected', async () => {
    const gone = await freshDatabase();
    const client = new pg.Client({ connectionString: gone.url });
    client.on('error', () => undefined);
    await client.connect();
    await gone.drop();
    const names = `SELECT count(*)::int FROM pg_database WHERE datname = '${gone.name}'`;
    expect(await ask(database.url, names)).toEqual([0]);
  });
});
