import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { createClient } from 'tidings'
import { TidingsProvider } from 'tidings/react'
import { rememberedToken } from '../session.ts'
import { serverUrl, transports } from '../settings.ts'
import './document.css'
import { Page } from './page.tsx'

const client = createClient({ url: serverUrl, name: 'tidings-demo', token: rememberedToken() ?? undefined, transports })
client.connect()
createRoot(document.getElementById('app')!).render(
  <StrictMode><TidingsProvider client={client}><Page /></TidingsProvider></StrictMode>)
