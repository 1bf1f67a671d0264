// The console's own icons, drawn as those of the demo: decoration, what they mean stands beside them.
import type { ReactNode } from 'react'

function Icon({ size = 18, children }: { size?: number | undefined; children: ReactNode }) {
  return (
    <svg width={size} height={size} viewBox="0 0 20 20" fill="none" stroke="currentColor"
      strokeWidth="1.7" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      {children}
    </svg>
  )
}
type Size = { size?: number }

export const Pulse = ({ size }: Size) =>
  <Icon size={size}><path d="M2.5 10.5h3.2l2.3-6 4 11 2.3-5h3.2" /></Icon>
export const People = ({ size }: Size) =>
  <Icon size={size}>
    <circle cx="7.6" cy="7" r="2.9" /><path d="M2.5 16.5c.4-3 2.4-4.7 5.1-4.7s4.7 1.7 5.1 4.7" />
    <path d="M13 4.4a2.7 2.7 0 0 1 0 5.2M15 12.3c1.5.7 2.3 2.2 2.5 4.2" />
  </Icon>
export const Route = ({ size }: Size) =>
  <Icon size={size}><path d="M3 6h10M10 3l3 3-3 3M17 14H7M10 11l-3 3 3 3" /></Icon>
export const Terminal = ({ size }: Size) =>
  <Icon size={size}><path d="m4 6 4 4-4 4M10.5 14.5H16" /></Icon>
export const Search = ({ size }: Size) =>
  <Icon size={size}><circle cx="9" cy="9" r="5.3" /><path d="m13 13 4 4" /></Icon>
export const Back = ({ size }: Size) =>
  <Icon size={size}><path d="M12 4.5 6.5 10l5.5 5.5" /></Icon>
export const Exit = ({ size }: Size) =>
  <Icon size={size}><path d="M8 3.5H4.5v13H8M9 10h8M14 7l3 3-3 3" /></Icon>
export const Copy = ({ size }: Size) =>
  <Icon size={size}>
    <rect x="7" y="7" width="9.5" height="9.5" rx="2" />
    <path d="M13 4.5A2 2 0 0 0 11.5 3.5h-6a2 2 0 0 0-2 2v6A2 2 0 0 0 4.5 13" />
  </Icon>
export const Check = ({ size }: Size) =>
  <Icon size={size}><path d="m4 10.5 4 4 8-9" /></Icon>
export const Refresh = ({ size }: Size) =>
  <Icon size={size}><path d="M16 5v3.5h-3.5M4 15v-3.5h3.5M15.5 8.5a6 6 0 0 0-10.8-1.3M4.5 11.5a6 6 0 0 0 10.8 1.3" /></Icon>
export const Up = ({ size }: Size) =>
  <Icon size={size}><path d="M10 16V4.5M5 9l5-5 5 5" /></Icon>
