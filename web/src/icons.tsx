// Drawn here, so that nothing is fetched. All are decoration: what they mean stands beside them.
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

export const Hash = ({ size }: Size) =>
  <Icon size={size}><path d="M8 3 6.4 17M13.6 3 12 17M3.6 7.4h13.2M3.2 12.6h13.2" /></Icon>
export const Send = ({ size }: Size) =>
  <Icon size={size}><path d="M10 16.5v-13M4.5 9 10 3.5 15.5 9" /></Icon>
export const Down = ({ size }: Size) =>
  <Icon size={size}><path d="M10 3.5v13M4.5 11l5.5 5.5L15.5 11" /></Icon>
export const Menu = ({ size }: Size) =>
  <Icon size={size}><path d="M3 5.5h14M3 10h14M3 14.5h9" /></Icon>
export const Close = ({ size }: Size) =>
  <Icon size={size}><path d="m5 5 10 10M15 5 5 15" /></Icon>
export const Plus = ({ size }: Size) =>
  <Icon size={size}><path d="M10 4v12M4 10h12" /></Icon>
export const Clock = ({ size }: Size) =>
  <Icon size={size}><circle cx="10" cy="10" r="7" /><path d="M10 6v4.3l2.7 1.7" /></Icon>
export const Alert = ({ size }: Size) =>
  <Icon size={size}><circle cx="10" cy="10" r="7.2" /><path d="M10 6v4.7M10 13.7v.1" /></Icon>
export const Key = ({ size }: Size) =>
  <Icon size={size}><circle cx="6.5" cy="13.5" r="3.3" /><path d="m9 11 7.5-7.5M13.3 6.7l2.2 2.2" /></Icon>
export const Code = ({ size }: Size) =>
  <Icon size={size}><path d="m6.5 6-4 4 4 4M13.5 6l4 4-4 4" /></Icon>
export const Offline = ({ size }: Size) =>
  <Icon size={size}>
    <path d="M3 3l14 14M10 15.8v.1M7.3 12.8a4 4 0 0 1 4.6-.7M4.6 10a7.8 7.8 0 0 1 3-1.8M15.4 10a7.8 7.8 0 0 0-4.2-2.2" />
  </Icon>
export const Pencil = ({ size }: Size) =>
  <Icon size={size}><path d="m4 13.6-.6 3 3-.6L16.6 5.8a1.7 1.7 0 0 0-2.4-2.4zM12.6 5l2.4 2.4" /></Icon>
export const Trash = ({ size }: Size) =>
  <Icon size={size}><path d="M3.5 5.5h13M8 5.5V3.6h4v1.9M5.2 5.5l.7 11h8.2l.7-11M8.4 8.7v4.8M11.6 8.7v4.8" /></Icon>
export const Bell = ({ size }: Size) =>
  <Icon size={size}><path d="M10 3a4.6 4.6 0 0 1 4.6 4.6c0 3.6 1.4 5 1.9 5.6H3.5c.5-.6 1.9-2 1.9-5.6A4.6 4.6 0 0 1 10 3M8.3 16a1.8 1.8 0 0 0 3.4 0" /></Icon>
export const Check = ({ size }: Size) =>
  <Icon size={size}><path d="m4 10.6 4 4 8-9" /></Icon>
export const Archive = ({ size }: Size) =>
  <Icon size={size}><path d="M3 4h14v3.4H3zM4.4 7.4v8.2h11.2V7.4M8 10.4h4" /></Icon>
export const Chart = ({ size }: Size) =>
  <Icon size={size}><path d="M3 14.5 7.5 9l3.5 3.5L17 5M12.5 5H17v4.5" /></Icon>

export function Logo() {
  return (
    <svg width="24" height="24" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="currentColor" />
      <path d="M8 11h16M16 11v12" stroke="var(--side)" strokeWidth="3.4" strokeLinecap="round" />
      <circle cx="24" cy="21" r="2.6" fill="var(--side)" opacity=".75" />
    </svg>
  )
}
