/** A privacy centre that has one purpose of every kind; for journeys through HTTP. */
export const catalogue = {
  controllers: [{ key: 'linden', name: 'Linden Books Ltd', contact: 'privacy@linden.example' }],
  sources: ['trade-fair'],
  purposes: [
    {
      key: 'newsletter',
      controllers: ['linden'],
      marketing: true,
      allowedBases: ['consent'],
      channels: ['email'],
      doubleOptIn: true,
      minimumEvidence: 'notice',
      texts: { en: 'Newsletter', de: 'Rundbrief' },
    },
    {
      key: 'profiling',
      controllers: ['linden'],
      marketing: true,
      allowedBases: ['consent', 'legitimate-interests'],
      channels: ['email', 'push'],
      expiresAfter: 'P1M',
      texts: { en: 'Profiling' },
    },
    {
      key: 'sales',
      controllers: ['linden'],
      marketing: false,
      allowedBases: ['contract', 'legitimate-interests', 'consent'],
      texts: { en: 'Sales and service' },
    },
    {
      key: 'bookkeeping',
      controllers: ['linden'],
      marketing: false,
      allowedBases: ['legal-obligation'],
      texts: { en: 'Bookkeeping' },
      retention: 'P10Y',
    },
    {
      key: 'research',
      controllers: ['linden'],
      marketing: false,
      allowedBases: ['public-task', 'consent'],
      texts: { en: 'Research' },
    },
  ],
  notices: [
    notice('newsletter', 1, 'en', 'I agree to receive the newsletter by e-mail.'),
    notice('newsletter', 1, 'de', 'Ich bin mit dem Rundbrief per E-Mail einverstanden.'),
    notice('newsletter', 2, 'en', 'I agree to receive the newsletter by e-mail, as of now.'),
    notice('profiling', 1, 'en', 'I agree that a profile is made of what I buy.'),
  ],
  topics: [
    { key: 'new-books', purpose: 'newsletter', texts: { en: 'New books' } },
    { key: 'readings', purpose: 'newsletter', unset: 'follows-purpose' },
    { key: 'offers', purpose: 'profiling' },
  ],
};

function notice(purpose: string, version: number, language: string, text: string) {
  return { purpose, kind: 'consent', version, language, text, publishedAt: '2023-01-01T00:00:00Z' };
}
