// The service worker of docs/web-push.md: shows what was pushed, and opens the page of what was clicked.
// region push
self.addEventListener('push', event => {
  const { id, topic, subject, data, unread } = event.data.json()
  const shown = self.registration.showNotification(data?.title ?? topic ?? 'News', {
    body: data?.text ?? 'There is something new.',   // `data` is left out if it is too long
    tag: subject ?? `item-${id}`,                    // a later one of this subject takes its place
    data: { id, url: data?.url ?? '/' },
  })
  event.waitUntil(Promise.all([shown, self.navigator.setAppBadge?.(unread)]))
})
// endregion

// region click
self.addEventListener('notificationclick', event => {
  event.notification.close()
  const url = new URL(event.notification.data.url, self.location.origin)
  if (url.origin !== self.location.origin) return    // data is what somebody wrote
  event.waitUntil(open(url.href))
})

async function open(url) {
  const windows = await self.clients.matchAll({ type: 'window' })
  const there = windows.find(window => window.url === url)
  return there ? there.focus() : self.clients.openWindow(url)
}
// endregion
