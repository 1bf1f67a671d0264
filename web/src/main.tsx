import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import './chat.css'
import { App } from './app.tsx'
import { openSession, rememberedToken } from './session.ts'

const session = openSession(rememberedToken())
createRoot(document.getElementById('app')!).render(<StrictMode><App first={session} /></StrictMode>)
